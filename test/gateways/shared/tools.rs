// The three tools, compiled into each gateway against its own version of rmcp.
use std::time::Duration;

use rmcp::{
    RoleServer,
    handler::server::{router::tool::ToolRouter, wrapper::Parameters},
    schemars,
    service::RequestContext,
    tool, tool_router,
};
use serde::Deserialize;

pub struct Tools {
    pub tool_router: ToolRouter<Self>,
}

#[derive(Deserialize, schemars::JsonSchema)]
struct EchoRequest {
    text: String,
}

#[derive(Deserialize, schemars::JsonSchema)]
struct SlowRequest {
    steps: u32,
    step_ms: u64,
}

#[tool_router]
impl Tools {
    pub fn new() -> Self {
        Self {
            tool_router: Self::tool_router(),
        }
    }

    #[tool(description = "Answers the text it is given")]
    async fn echo(&self, Parameters(EchoRequest { text }): Parameters<EchoRequest>) -> String {
        text
    }

    #[tool(
        description = "Waits `steps` times `step_ms`, reports progress if asked to, then answers"
    )]
    async fn slow(
        &self,
        Parameters(SlowRequest { steps, step_ms }): Parameters<SlowRequest>,
        context: RequestContext<RoleServer>,
    ) -> String {
        let progress_token = context.meta.get_progress_token();
        for step in 1..=steps {
            tokio::time::sleep(Duration::from_millis(step_ms)).await;
            if let Some(token) = &progress_token {
                let progress = crate::progress(token.clone(), step.into(), steps.into());
                // Fails when the client has left; the tool still runs to its end.
                let _ = context.peer.notify_progress(progress).await;
            }
        }
        format!("{steps} steps of {step_ms} ms")
    }

    #[tool(description = "Answers 1 MB of text")]
    async fn big(&self) -> String {
        (0..125_000).map(|n| format!("{n:07} ")).collect()
    }
}
