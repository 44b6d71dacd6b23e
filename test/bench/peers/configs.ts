// Owns the configurations of nginx and HAProxy: proxies of event streams, as their documentation has it.
import { MAX_STREAMS } from '../sizes.js'

export interface Place {
  port: number
  /** `host:port`. */
  upstream: string
  /** For the files it wants to write. */
  directory: string
}

/** nginx closes idle connections to have a sixteenth of these free. */
const files = 2 * MAX_STREAMS + 2_000

export const nginxConfig = ({ port, upstream, directory }: Place, keepAlive: boolean): string => `
daemon off;
master_process off;
pid ${directory}/nginx-${port}.pid;
error_log ${directory}/nginx-${port}.log;
worker_rlimit_nofile ${files};
events { worker_connections ${files}; }
http {
  access_log off;
  client_body_temp_path ${directory};
  proxy_temp_path ${directory};
  fastcgi_temp_path ${directory};
  uwsgi_temp_path ${directory};
  scgi_temp_path ${directory};
  upstream gateway { server ${upstream}; ${keepAlive ? 'keepalive 64; keepalive_requests 10000000;' : ''} }
  server {
    listen 127.0.0.1:${port} backlog=${MAX_STREAMS};
    keepalive_requests 10000000;
    client_max_body_size 0;
    location / {
      proxy_pass http://gateway;
      proxy_http_version 1.1;
      ${keepAlive ? 'proxy_set_header Connection "";' : ''}
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_read_timeout 1h;
    }
  }
}
`

export const haproxyConfig = ({ port, upstream }: Place): string => `
global
  nbthread 1
  maxconn ${MAX_STREAMS + 500}
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  option forwardfor
frontend clients
  bind 127.0.0.1:${port}
  default_backend gateway
backend gateway
  server gateway ${upstream}
`
