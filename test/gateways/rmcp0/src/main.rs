//! gateway-rmcp0: the routes of the production gateway on rmcp 0.10, Streamable HTTP and legacy HTTP+SSE.
use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, Request, State},
    http::StatusCode,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{any, get, post},
};
use gateway_shared::{Endpoint, Endpoints, Flags, LiveSessions, list_sessions, serve};
use rmcp::{
    ServerHandler, ServiceExt,
    model::{
        ClientJsonRpcMessage, ProgressNotificationParam, ProgressToken, ServerCapabilities,
        ServerInfo,
    },
    tool_handler,
    transport::{
        common::server_side_http::{DEFAULT_AUTO_PING_INTERVAL, session_id},
        streamable_http_server::{
            StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
        },
    },
};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tokio_util::sync::PollSender;

#[path = "../../shared/tools.rs"]
mod tools;
use tools::Tools;

#[tool_handler]
impl ServerHandler for Tools {
    fn get_info(&self) -> ServerInfo {
        ServerInfo {
            capabilities: ServerCapabilities::builder().enable_tools().build(),
            ..Default::default()
        }
    }
}

fn progress(token: ProgressToken, step: f64, steps: f64) -> ProgressNotificationParam {
    ProgressNotificationParam {
        progress_token: token,
        progress: step,
        total: Some(steps),
        message: None,
    }
}

struct BothTransports {
    streamable: StreamableHttpService<Tools>,
    streamable_sessions: Arc<LocalSessionManager>,
    /// The streamable ids that a client was told.
    handed_out: Mutex<HashSet<String>>,
    /// The open legacy streams, each with the way to its service.
    sse_sessions: Mutex<HashMap<String, mpsc::Sender<ClientJsonRpcMessage>>>,
}

impl BothTransports {
    fn new(flags: &Flags) -> Self {
        let mut sessions = LocalSessionManager::default();
        let keep_alive = &mut sessions.session_config.keep_alive;
        *keep_alive = flags.keep_alive_or(*keep_alive);
        let streamable_sessions = Arc::new(sessions);
        Self {
            streamable: StreamableHttpService::new(
                || Ok(Tools::new()),
                streamable_sessions.clone(),
                StreamableHttpServerConfig::default(),
            ),
            streamable_sessions,
            handed_out: Mutex::default(),
            sse_sessions: Mutex::default(),
        }
    }
}

impl Endpoint for BothTransports {
    async fn live_sessions(&self) -> LiveSessions {
        // rmcp 0.10 makes an entry before it looks at the message, and keeps it for ever when that is no `initialize`.
        let sessions = self.streamable_sessions.sessions.read().await;
        let mut handed_out = self.handed_out.lock().unwrap();
        handed_out.retain(|id| sessions.contains_key(id.as_str()));
        LiveSessions {
            streamable: handed_out.iter().cloned().collect(),
            sse: self.sse_sessions.lock().unwrap().keys().cloned().collect(),
        }
    }
}

type Gateway = State<Arc<Endpoints<BothTransports>>>;

async fn streamable(
    State(endpoints): Gateway,
    Path(endpoint_id): Path<String>,
    request: Request,
) -> Response {
    let endpoint = endpoints.get(&endpoint_id);
    let response = endpoint.streamable.handle(request).await;
    if let Some(id) = response.headers().get("mcp-session-id") {
        let id = id.to_str().unwrap().to_owned();
        endpoint.handed_out.lock().unwrap().insert(id);
    }
    response.map(Body::new)
}

/// As rmcp's own `SseServer` does it, but for the `endpointId` in the first event.
async fn open_sse(State(endpoints): Gateway, Path(endpoint_id): Path<String>) -> impl IntoResponse {
    let endpoint = endpoints.get(&endpoint_id);
    let session = session_id().to_string();
    let (from_client_tx, from_client_rx) = mpsc::channel(64);
    let (to_client_tx, to_client_rx) = mpsc::channel(64);
    let to_service = PollSender::new(to_client_tx.clone());
    let transport = (to_service, ReceiverStream::new(from_client_rx));
    tokio::spawn(async move {
        if let Ok(service) = Tools::new().serve(transport).await {
            let _ = service.waiting().await;
        }
    });

    let first = Event::default().event("endpoint").data(format!(
        "/message?sessionId={session}&endpointId={endpoint_id}"
    ));
    let messages = ReceiverStream::new(to_client_rx).map(|message| {
        Event::default()
            .event("message")
            .json_data(message)
            .unwrap()
    });
    let events = tokio_stream::once(first)
        .chain(messages)
        .map(Ok::<_, Infallible>);

    endpoint
        .sse_sessions
        .lock()
        .unwrap()
        .insert(session.clone(), from_client_tx);
    tokio::spawn(async move {
        to_client_tx.closed().await;
        endpoint.sse_sessions.lock().unwrap().remove(&session);
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(DEFAULT_AUTO_PING_INTERVAL))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageQuery {
    session_id: String,
    endpoint_id: String,
}

async fn post_message(
    State(endpoints): Gateway,
    Query(query): Query<MessageQuery>,
    Json(message): Json<ClientJsonRpcMessage>,
) -> StatusCode {
    let endpoint = endpoints.get(&query.endpoint_id);
    let session = endpoint
        .sse_sessions
        .lock()
        .unwrap()
        .get(&query.session_id)
        .cloned();
    match session {
        None => StatusCode::NOT_FOUND,
        Some(to_service) => match to_service.send(message).await {
            Ok(()) => StatusCode::ACCEPTED,
            Err(_) => StatusCode::GONE,
        },
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let flags = Flags::parse(&[]);
    let port = flags.port;
    let endpoints = Endpoints::new(move || BothTransports::new(&flags));
    let app = Router::new()
        .route("/stream/{endpoint_id}", any(streamable))
        .route("/{endpoint_id}/sse", get(open_sse))
        .route("/message", post(post_message))
        .route("/__sessions", get(list_sessions))
        .with_state(endpoints);
    serve(port, app).await
}
