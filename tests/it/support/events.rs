//! A listener at `/1.0/events`.

use serde_json::Value;
use tungstenite::{Message, WebSocket, client::IntoClientRequest};

use super::{clients::Client, stream::Stream};

/// An open event stream. Reading gives up with the connection's read timeout.
pub(crate) struct Events {
    socket: WebSocket<Box<dyn Stream>>,
    seen: Vec<Value>,
}

impl Events {
    /// Listens with this query (`?type=lifecycle`), and returns once the daemon delivers: it
    /// begins with a ping, before which only the log of its own start may come.
    #[track_caller]
    pub(crate) fn listen(client: &Client, query: &str) -> Self {
        let request = format!("ws://unix.socket/1.0/events{query}")
            .into_client_request()
            .unwrap();
        let (socket, _) = tungstenite::client(request, client.stream().unwrap())
            .unwrap_or_else(|error| panic!("/1.0/events{query}: {error}"));
        let mut events = Self {
            socket,
            seen: Vec::new(),
        };
        let mut first = events.socket.read().unwrap();
        while matches!(first, Message::Text(_)) {
            first = events.socket.read().unwrap();
        }
        assert_eq!(first, Message::Ping(b"keepalive".as_slice().into()));
        events
    }

    /// The next event.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Value {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    let event: Value = serde_json::from_str(&text).unwrap();
                    self.seen.push(event.clone());
                    return event;
                }
                Ok(_) => {}
                Err(error) => panic!("no more events: {error}; seen: {:#?}", self.seen),
            }
        }
    }

    /// The next event for which `wanted` holds.
    #[track_caller]
    pub(crate) fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event = self.next();
            if wanted(&event) {
                return event;
            }
        }
    }

    /// The next lifecycle event of this action.
    #[track_caller]
    pub(crate) fn action(&mut self, action: &str) -> Value {
        self.find(|event| event["metadata"]["action"] == action)
    }

    /// Everything that has come so far.
    pub(crate) fn seen(&self) -> &[Value] {
        &self.seen
    }

    /// Waits until the daemon closes the stream.
    pub(crate) fn closed(&mut self) {
        while self.socket.read().is_ok() {}
    }
}
