//! What both ends share: connections that are read and written without waiting, and where a message ends.
use mio::net::TcpStream;
use mio::{Events, Poll};
use std::io::{ErrorKind, Read, Write};
use std::thread;
use std::time::Duration;

/// A connection, with what could not be written yet.
pub struct Connection {
    pub stream: TcpStream,
    unsent: Vec<u8>,
    unsent_from: usize,
}

impl Connection {
    pub fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("no delay");
        Self {
            stream,
            unsent: Vec::new(),
            unsent_from: 0,
        }
    }

    /// Puts all that is there to be read into `bytes`. False: the peer is gone.
    pub fn read(&mut self, bytes: &mut Vec<u8>) -> bool {
        bytes.clear();
        self.stream
            .read_to_end(bytes)
            .is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Writes `bytes`, or what of them goes; the rest with `flush`.
    pub fn write(&mut self, bytes: &[u8]) {
        let written = if self.unsent.is_empty() {
            self.stream.write(bytes).unwrap_or(0)
        } else {
            0
        };
        self.unsent.extend_from_slice(&bytes[written..]);
    }

    /// The connection can be written again.
    pub fn flush(&mut self) {
        while self.unsent_from < self.unsent.len() {
            match self.stream.write(&self.unsent[self.unsent_from..]) {
                Ok(written) => self.unsent_from += written,
                Err(_) => return,
            }
        }
        self.unsent.clear();
        self.unsent_from = 0;
    }
}

/// What an end does while there is nothing to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    Sleep,
    /// Asks again at once, so that whoever writes to it has nobody to wake; others on its CPU come first.
    Spin,
}

impl Idle {
    /// From the last argument of an end: `spin`, `sleep` or none.
    pub fn from_argument(argument: Option<&str>) -> Self {
        match argument {
            Some("spin") => Self::Spin,
            Some("sleep") | None => Self::Sleep,
            Some(other) => panic!("neither spin nor sleep: {other}"),
        }
    }

    /// Takes what has happened on the connections; a sleeper waits for it, until `timeout` at most.
    pub fn poll(
        self,
        poll: &mut Poll,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> std::io::Result<()> {
        if self == Self::Sleep {
            return poll.poll(events, timeout);
        }
        poll.poll(events, Some(Duration::ZERO))?;
        if events.is_empty() {
            thread::yield_now();
        }
        Ok(())
    }
}

/// The value of a field of a head.
pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n").skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Where the head of a message in `bytes` ends, behind its empty line.
pub fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map(|at| at + 4)
}
