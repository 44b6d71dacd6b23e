//! gateway-rmcp3: `/stream/{endpoint_id}` on rmcp 3.x, a session manager of its own for each endpoint. Every listen
//! stream that is asked for is opened, and stays open. `--session-store FILE`: sessions are kept in that file, and a session
//! that is unknown (after a restart, or when its keep_alive is over) is restored from it.
use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
};

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
        StreamableHttpServerConfig, StreamableHttpService,
        session::{
            local::LocalSessionManager,
            store::{SessionState, SessionStore, SessionStoreError},
        },
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

/// One JSON object in a file, read and written whole.
struct FileStore(Mutex<PathBuf>);

impl FileStore {
    fn change<T>(&self, change: impl FnOnce(&mut HashMap<String, SessionState>) -> T) -> T {
        let file = self.0.lock().unwrap();
        let text = fs::read_to_string(&*file).unwrap_or_else(|_| "{}".into());
        let mut sessions = serde_json::from_str(&text).expect("what was written");
        let result = change(&mut sessions);
        let text = serde_json::to_string(&sessions).expect("a map of states");
        fs::write(&*file, text).expect("the file of sessions");
        result
    }
}

#[async_trait::async_trait]
impl SessionStore for FileStore {
    async fn load(&self, id: &str) -> Result<Option<SessionState>, SessionStoreError> {
        Ok(self.change(|sessions| sessions.get(id).cloned()))
    }

    async fn store(&self, id: &str, state: &SessionState) -> Result<(), SessionStoreError> {
        self.change(|sessions| sessions.insert(id.to_owned(), state.clone()));
        Ok(())
    }

    async fn delete(&self, id: &str) -> Result<(), SessionStoreError> {
        self.change(|sessions| sessions.remove(id));
        Ok(())
    }
}

struct StreamableEndpoint {
    service: StreamableHttpService<Tools, LocalSessionManager>,
    sessions: Arc<LocalSessionManager>,
}

impl StreamableEndpoint {
    fn new(flags: &Flags, store: Option<Arc<dyn SessionStore>>) -> Self {
        let mut sessions = LocalSessionManager::default();
        let keep_alive = &mut sessions.session_config.keep_alive;
        *keep_alive = flags.keep_alive_or(*keep_alive);
        let sessions = Arc::new(sessions);
        let mut config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(!flags.has("--stateless"))
            .with_json_response(flags.has("--json-response"));
        config.session_store = store;
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
    let flags = Flags::parse(&["--json-response", "--stateless", "--session-store"]);
    let port = flags.port;
    let store = flags
        .session_store
        .clone()
        .map(|file| Arc::new(FileStore(Mutex::new(file))) as Arc<dyn SessionStore>);
    let endpoints = Endpoints::new(move || StreamableEndpoint::new(&flags, store.clone()));
    let app = Router::new()
        .route("/stream/{endpoint_id}", any(streamable))
        .route("/__sessions", get(list_sessions))
        .with_state(endpoints);
    serve(port, app).await
}
