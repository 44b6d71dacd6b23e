//! The synthetic upstream of the benchmarks. The last segment of the path says what to answer: `json`, `events` (two of
//! them), `download`, `upload`, `stream` (one event, then one each time as `rate/N` asked for, N a second).
//! upstream BODY_BYTES [spin|sleep]; prints its URL.
use bench_ends::{Connection, Idle, end_of_head, field};
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use std::collections::HashMap;
use std::time::{Duration, Instant};

const LISTENER: Token = Token(0);
const TICK: Duration = Duration::from_millis(10);

struct Client {
    connection: Connection,
    /// Of a head that is not complete.
    held: Vec<u8>,
    /// Bytes of the request's body still to come.
    rest: usize,
    what: String,
    has_session: bool,
    closes: bool,
}

struct Answers {
    result: String,
    priming_event: String,
    result_event: String,
    download: Vec<u8>,
    sessions: u64,
}

impl Answers {
    fn new(body_bytes: usize) -> Self {
        let text = "x".repeat(100);
        let result = format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#
        );
        Self {
            priming_event: chunk("id: 0\nretry: 3000\ndata: \n\n"),
            result_event: chunk(&format!("data: {result}\n\n")),
            result,
            download: vec![b'x'; body_bytes],
            sessions: 0,
        }
    }

    fn head(&mut self, client: &Client, content_type: &str, framing: &str) -> String {
        let session = if client.has_session {
            String::new()
        } else {
            self.sessions += 1;
            format!(
                "Mcp-Session-Id: 00000000-0000-4000-8000-{:012x}\r\n",
                self.sessions
            )
        };
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nCache-Control: no-cache\r\n{session}{framing}\r\n\r\n"
        )
    }

    fn answer(&mut self, client: &mut Client) {
        match client.what.as_str() {
            "events" => {
                // As a gateway does: what it has at once, and the result when it is there.
                let head = self.head(client, "text/event-stream", "Transfer-Encoding: chunked");
                client
                    .connection
                    .write((head + &self.priming_event).as_bytes());
                client
                    .connection
                    .write(format!("{}0\r\n\r\n", self.result_event).as_bytes());
            }
            "stream" => {
                let head = self.head(client, "text/event-stream", "Transfer-Encoding: chunked");
                client
                    .connection
                    .write((head + &self.priming_event).as_bytes());
            }
            "download" => {
                let length = format!("Content-Length: {}", self.download.len());
                let head = self.head(client, "application/octet-stream", &length);
                client.connection.write(head.as_bytes());
                client.connection.write(&self.download);
            }
            _ => {
                let length = format!("Content-Length: {}", self.result.len());
                let head = self.head(client, "application/json", &length);
                client.connection.write((head + &self.result).as_bytes());
            }
        }
    }
}

fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

/// Takes bytes of a request; true: it is complete.
fn feed(client: &mut Client, bytes: &[u8]) -> bool {
    if client.rest > 0 {
        client.rest -= bytes.len();
        return client.rest == 0;
    }
    client.held.extend_from_slice(bytes);
    let Some(end) = end_of_head(&client.held) else {
        return false;
    };
    let head = String::from_utf8_lossy(&client.held[..end]);
    let target = head.split(' ').nth(1).unwrap_or("");
    client.what = target.strip_prefix("/stream/").unwrap_or("").to_string();
    client.has_session = field(&head, "mcp-session-id").is_some();
    client.closes = field(&head, "connection").is_some_and(|value| value == "close");
    let length = field(&head, "content-length")
        .and_then(|value| value.parse().ok())
        .unwrap_or(0);
    client.rest = length - (client.held.len() - end);
    client.held.clear();
    client.rest == 0
}

fn main() -> std::io::Result<()> {
    let body_bytes = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .expect("BODY_BYTES");
    let idle = Idle::from_argument(std::env::args().nth(2).as_deref());
    let mut answers = Answers::new(body_bytes);
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind("127.0.0.1:0".parse().expect("an address"))?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("http://{}", listener.local_addr()?);

    let mut clients: HashMap<Token, Client> = HashMap::new();
    let mut next = 1;
    // The streams, those that wait for their event of this round, and events a second on each.
    let mut streams: Vec<Token> = Vec::new();
    let mut round: Vec<Token> = Vec::new();
    let mut rate = 0.0;
    let mut owed = 0.0;
    let mut ticked = Instant::now();

    let mut bytes = Vec::new();
    let mut events = Events::with_capacity(1024);
    loop {
        idle.poll(&mut poll, &mut events, (rate > 0.0).then_some(TICK))?;
        for event in &events {
            let token = event.token();
            if token == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    let token = Token(next);
                    next += 1;
                    poll.registry().register(
                        &mut stream,
                        token,
                        Interest::READABLE | Interest::WRITABLE,
                    )?;
                    let connection = Connection::new(stream);
                    let client = Client {
                        connection,
                        held: Vec::new(),
                        rest: 0,
                        what: String::new(),
                        has_session: false,
                        closes: false,
                    };
                    clients.insert(token, client);
                }
                continue;
            }
            let Some(client) = clients.get_mut(&token) else {
                continue;
            };
            if event.is_writable() {
                client.connection.flush();
            }
            let mut complete = false;
            let mut lives = true;
            if event.is_readable() {
                lives = client.connection.read(&mut bytes);
                complete = !bytes.is_empty() && feed(client, &bytes);
            }
            if complete {
                answers.answer(client);
                if client.what == "stream" {
                    streams.push(token);
                } else if let Some(asked) = client.what.strip_prefix("rate/") {
                    rate = asked.parse().unwrap_or(0.0);
                    ticked = Instant::now();
                }
                lives &= !client.closes;
            }
            if !lives {
                clients.remove(&token);
                streams.retain(|stream| *stream != token);
            }
        }
        if rate > 0.0 && ticked.elapsed() >= TICK {
            // Evenly over time.
            owed += streams.len() as f64 * rate * ticked.elapsed().as_secs_f64();
            ticked = Instant::now();
            while owed >= 1.0 {
                owed -= 1.0;
                if round.is_empty() {
                    round.clone_from(&streams);
                }
                if let Some(client) = round.pop().and_then(|token| clients.get_mut(&token)) {
                    client.connection.write(answers.result_event.as_bytes());
                }
            }
        }
    }
}
