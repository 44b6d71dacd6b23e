//! gateway-rmcp3: `/stream/{endpoint_id}` on rmcp 3.x, a session manager of its own for each endpoint. Every listen
//! stream that is asked for is opened, and stays open.
use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    response::Response,
    routing::{any, get},
};
use gateway_shared::{Endpoint, Endpoints, Flags, LiveSessions, list_sessions, serve};
use rmcp::{
    ServerHandler,
    model::{ProgressNotificationParam, ProgressToken, SubscriptionFilter},
    tool_handler,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};

#[path = "../../shared/tools.rs"]
mod tools;
use tools::Tools;

#[tool_handler(router = self.tool_router, name = "gateway-rmcp3")]
impl ServerHandler for Tools {
    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }
}

fn progress(token: ProgressToken, step: f64, steps: f64) -> ProgressNotificationParam {
    ProgressNotificationParam::new(token, step).with_total(steps)
}

struct StreamableEndpoint {
    service: StreamableHttpService<Tools, LocalSessionManager>,
    sessions: Arc<LocalSessionManager>,
}

impl StreamableEndpoint {
    fn new(flags: &Flags) -> Self {
        let mut sessions = LocalSessionManager::default();
        let keep_alive = &mut sessions.session_config.keep_alive;
        *keep_alive = flags.keep_alive_or(*keep_alive);
        let sessions = Arc::new(sessions);
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(!flags.has("--stateless"))
            .with_json_response(flags.has("--json-response"));
        let service = StreamableHttpService::new(|| Ok(Tools::new()), sessions.clone(), config);
        Self { service, sessions }
    }
}

impl Endpoint for StreamableEndpoint {
    async fn live_sessions(&self) -> LiveSessions {
        let sessions = self.sessions.sessions.read().await;
        LiveSessions {
            streamable: sessions.keys().map(|id| id.to_string()).collect(),
            sse: Vec::new(),
        }
    }
}

async fn streamable(
    State(endpoints): State<Arc<Endpoints<StreamableEndpoint>>>,
    Path(endpoint_id): Path<String>,
    request: Request,
) -> Response {
    let endpoint = endpoints.get(&endpoint_id);
    endpoint.service.handle(request).await.map(Body::new)
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let flags = Flags::parse(&["--json-response", "--stateless"]);
    let port = flags.port;
    let endpoints = Endpoints::new(move || StreamableEndpoint::new(&flags));
    let app = Router::new()
        .route("/stream/{endpoint_id}", any(streamable))
        .route("/__sessions", get(list_sessions))
        .with_state(endpoints);
    serve(port, app).await
}
