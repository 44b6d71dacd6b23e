//! client-rmcp3: a client of rmcp 3.x, Streamable HTTP only: one visit as test/interop/clients.ts describes it.
use std::{error::Error, time::Duration};

use rmcp::{
    ClientHandler, RoleClient, ServiceExt,
    model::{CallToolRequestParams, CallToolResult, JsonObject, ProgressNotificationParam},
    service::NotificationContext,
    transport::StreamableHttpClientTransport,
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, stdin},
    sync::mpsc,
    time::timeout,
};

#[derive(Deserialize)]
struct Call {
    name: String,
    arguments: JsonObject,
}

#[derive(Deserialize)]
struct Task {
    url: String,
    echo: Call,
    slow: Call,
}

#[derive(Serialize)]
struct Report {
    tools: Vec<String>,
    echo: String,
    slow: String,
    progress: Vec<f64>,
}

struct Handler(mpsc::UnboundedSender<f64>);

impl ClientHandler for Handler {
    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let _ = self.0.send(params.progress);
    }
}

impl From<Call> for CallToolRequestParams {
    fn from(call: Call) -> Self {
        Self::new(call.name).with_arguments(call.arguments)
    }
}

fn text(result: CallToolResult) -> String {
    result.content[0].as_text().unwrap().text.clone()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let task: Task = serde_json::from_str(&std::env::args().nth(1).expect("a task"))?;
    let steps = task.slow.arguments["steps"].as_u64().unwrap();
    let (on_progress, mut arrived) = mpsc::unbounded_channel();
    let transport = StreamableHttpClientTransport::from_uri(task.url);
    let client = Handler(on_progress).serve(transport).await?;

    let listed = client.list_all_tools().await?;
    let echo = client.call_tool(task.echo.into()).await?;
    let slow = client.call_tool(task.slow.into()).await?;
    let mut progress = Vec::new();
    for _ in 0..steps {
        progress.extend(timeout(Duration::from_secs(5), arrived.recv()).await?);
    }
    let report = Report {
        tools: listed.into_iter().map(|tool| tool.name.into()).collect(),
        echo: text(echo),
        slow: text(slow),
        progress,
    };
    println!("{}", serde_json::to_string(&report)?);
    stdin().read_to_end(&mut Vec::new()).await?;
    client.cancel().await?;
    Ok(())
}
