//! The closed load of the benchmarks: each connection has one POST in flight, and a session of its own.
//! load URL CONNECTIONS MILLISECONDS BODY_BYTES (0: a tool call) [spin|sleep]; prints the figures, JSON.
use bench_ends::{Connection, Idle, end_of_head, field};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const TOOL_CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}"#;

struct Client {
    connection: Connection,
    request: Vec<u8>,
    /// Of an answer whose end is not known.
    held: Vec<u8>,
    /// Bytes of a sized body still to come.
    rest: usize,
    ok: bool,
}

struct Load {
    host: String,
    path: String,
    body: Vec<u8>,
}

impl Load {
    fn request(&self, session: Option<&str>) -> Vec<u8> {
        let Self { host, path, body } = self;
        let session = session
            .map(|id| format!("Mcp-Session-Id: {id}\r\n"))
            .unwrap_or_default();
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\n{session}Accept: application/json, text/event-stream\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        [head.as_bytes(), body].concat()
    }

    /// Takes bytes of an answer; true: it is complete.
    fn feed(&self, client: &mut Client, bytes: &[u8]) -> bool {
        if client.rest > 0 {
            client.rest -= bytes.len();
            return client.rest == 0;
        }
        client.held.extend_from_slice(bytes);
        let Some(end) = end_of_head(&client.held) else {
            return false;
        };
        let head = String::from_utf8_lossy(&client.held[..end]);
        client.ok = head.starts_with("HTTP/1.1 2");
        match field(&head, "content-length").and_then(|value| value.parse::<usize>().ok()) {
            Some(length) => client.rest = length - (client.held.len() - end),
            None if !client.held.ends_with(b"\r\n0\r\n\r\n") => return false,
            None => {}
        }
        if let Some(session) = field(&head, "mcp-session-id") {
            client.request = self.request(Some(session));
        }
        client.held.clear();
        client.rest == 0
    }
}

/// Time that this process, of one thread, had a CPU.
fn cpu_us() -> u64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").expect("schedstat");
    text.split(' ')
        .next()
        .and_then(|ns| ns.parse::<u64>().ok())
        .expect("nanoseconds")
        / 1000
}

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, connections, duration_ms, body_bytes, rest @ ..] = args.as_slice() else {
        panic!("load URL CONNECTIONS MILLISECONDS BODY_BYTES [spin|sleep]")
    };
    let idle = Idle::from_argument(rest.first().map(String::as_str));
    let number = |text: &str| text.parse::<usize>().expect("a number");
    let (host, path) = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .expect("a URL");
    let body = match number(body_bytes) {
        0 => TOOL_CALL.as_bytes().to_vec(),
        length => vec![b'x'; length],
    };
    let load = Load {
        host: host.to_string(),
        path: format!("/{path}"),
        body,
    };
    let address: SocketAddr = host.parse().expect("an address");
    let duration = Duration::from_millis(number(duration_ms) as u64);

    let mut poll = Poll::new()?;
    let mut clients: Vec<Option<Client>> = Vec::new();
    for token in 0..number(connections) {
        let connected = std::net::TcpStream::connect(address)?;
        connected.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(connected);
        poll.registry().register(
            &mut stream,
            Token(token),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        let (connection, request) = (Connection::new(stream), load.request(None));
        clients.push(Some(Client {
            connection,
            request,
            held: Vec::new(),
            rest: 0,
            ok: false,
        }));
    }
    let (mut requests, mut failures, mut open) = (0, 0, clients.len());
    let cpu_before = cpu_us();
    let until = Instant::now() + duration;
    for client in clients.iter_mut().flatten() {
        client.connection.write(&client.request);
    }
    let mut bytes = Vec::new();
    let mut events = Events::with_capacity(1024);
    while open > 0 {
        idle.poll(&mut poll, &mut events, None)?;
        for event in &events {
            let slot = &mut clients[event.token().0];
            let Some(client) = slot else { continue };
            if event.is_writable() {
                client.connection.flush();
            }
            if !event.is_readable() {
                continue;
            }
            let lives = client.connection.read(&mut bytes);
            let complete = !bytes.is_empty() && load.feed(client, &bytes);
            requests += usize::from(complete);
            failures += usize::from(complete && !client.ok || !complete && !lives);
            if complete && lives && Instant::now() < until {
                client.connection.write(&client.request);
            } else if complete || !lives {
                *slot = None;
                open -= 1;
            }
        }
    }
    let cpu_us = cpu_us() - cpu_before;
    println!(r#"{{"requests":{requests},"failures":{failures},"cpuUs":{cpu_us}}}"#);
    Ok(())
}
