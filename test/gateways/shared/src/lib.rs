//! What both gateways have in common: their flags, the endpoints, `GET /__sessions` and the server's life.
use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::exit,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, extract::State};
use serde::Serialize;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

pub struct Flags {
    pub port: u16,
    keep_alive: KeepAlive,
    pub session_store: Option<PathBuf>,
    switches: Vec<String>,
}

enum KeepAlive {
    LibraryDefault,
    Never,
    After(Duration),
}

impl Flags {
    /// Reads the command line: `--port N`, `--keep-alive SECONDS|none` and the named switches, of
    /// which `--session-store FILE` has a value.
    pub fn parse(known_switches: &[&str]) -> Self {
        let mut flags = Self {
            port: 0,
            keep_alive: KeepAlive::LibraryDefault,
            session_store: None,
            switches: Vec::new(),
        };
        let mut args = std::env::args().skip(1);
        while let Some(flag) = args.next() {
            match flag.as_str() {
                "--port" => flags.port = number(&flag, args.next()),
                "--keep-alive" => {
                    flags.keep_alive = match args.next() {
                        Some(value) if value == "none" => KeepAlive::Never,
                        value => match number(&flag, value) {
                            0 => KeepAlive::LibraryDefault,
                            seconds => KeepAlive::After(Duration::from_secs(seconds)),
                        },
                    }
                }
                "--session-store" if known_switches.contains(&"--session-store") => {
                    flags.session_store = args.next().map(PathBuf::from);
                }
                switch if known_switches.contains(&switch) => flags.switches.push(flag),
                _ => usage_error(&format!("unknown flag {flag}")),
            }
        }
        flags
    }

    pub fn has(&self, switch: &str) -> bool {
        self.switches.iter().any(|given| given == switch)
    }

    pub fn keep_alive_or(&self, library_default: Option<Duration>) -> Option<Duration> {
        match self.keep_alive {
            KeepAlive::LibraryDefault => library_default,
            KeepAlive::Never => None,
            KeepAlive::After(idle) => Some(idle),
        }
    }
}

fn number<N: std::str::FromStr>(flag: &str, value: Option<String>) -> N {
    value
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| usage_error(&format!("{flag} needs a number")))
}

fn usage_error(problem: &str) -> ! {
    eprintln!("{problem}");
    exit(2)
}

/// The endpoints asked for so far, each made at its first request.
pub struct Endpoints<E> {
    by_id: Mutex<BTreeMap<String, Arc<E>>>,
    create: Box<dyn Fn() -> E + Send + Sync>,
}

impl<E> Endpoints<E> {
    pub fn new(create: impl Fn() -> E + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            by_id: Mutex::default(),
            create: Box::new(create),
        })
    }

    pub fn get(&self, endpoint_id: &str) -> Arc<E> {
        let mut by_id = self.by_id.lock().unwrap();
        match by_id.get(endpoint_id) {
            Some(endpoint) => endpoint.clone(),
            None => {
                let endpoint = Arc::new((self.create)());
                by_id.insert(endpoint_id.to_owned(), endpoint.clone());
                endpoint
            }
        }
    }
}

#[derive(Serialize)]
pub struct LiveSessions {
    pub streamable: Vec<String>,
    pub sse: Vec<String>,
}

pub trait Endpoint: Send + Sync + 'static {
    fn live_sessions(&self) -> impl Future<Output = LiveSessions> + Send;
}

#[derive(Serialize)]
pub struct SessionList {
    endpoints: BTreeMap<String, LiveSessions>,
}

/// The handler of `GET /__sessions`.
pub async fn list_sessions<E: Endpoint>(
    State(endpoints): State<Arc<Endpoints<E>>>,
) -> Json<SessionList> {
    let by_id = endpoints.by_id.lock().unwrap().clone();
    let mut endpoints = BTreeMap::new();
    for (endpoint_id, endpoint) in by_id {
        endpoints.insert(endpoint_id, endpoint.live_sessions().await);
    }
    Json(SessionList { endpoints })
}

/// Serves until SIGTERM, which breaks off the streams that are still open.
pub async fn serve(port: u16, app: Router) -> std::io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    println!("listening on {}", listener.local_addr()?);
    tokio::select! {
        served = axum::serve(listener, app) => served,
        _ = terminate.recv() => Ok(()),
    }
}
