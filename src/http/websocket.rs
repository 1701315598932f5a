//! A client's websocket that belongs to an operation: frames go both ways until one side ends.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::ws::{Message, WebSocket},
};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    operations::{Frame, Socket},
    tasks::Tasks,
};

/// The longest message that is taken.
pub(super) const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// How often a client is told that we live, as in LXD.
const PING_EVERY: Duration = Duration::from_secs(10);

/// How long a client may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(5);

/// Passes frames between a client and an operation.
pub(super) async fn serve(client: WebSocket, operation: Socket, tasks: Tasks) {
    let (to_client, from_client) = client.split();
    let Socket { incoming, outgoing } = operation;
    let there = receive(from_client, outgoing);
    let back = send(to_client, incoming);
    let both = async {
        tokio::pin!(there, back);
        tokio::select! {
            // The client went: whoever writes to it notices, and ends.
            () = &mut there => back.await,
            // The operation has said everything: the client may answer our goodbye.
            () = &mut back => drop(timeout(FAREWELL, there).await),
        }
    };
    tasks.cut().run_until_cancelled(both).await;
}

/// What the client sends, until it goes. A client is not read from while the operation is busy.
async fn receive(mut client: SplitStream<WebSocket>, operation: mpsc::Sender<Frame>) {
    while let Some(Ok(message)) = client.next().await {
        let frame = match message {
            Message::Binary(bytes) => Frame::Binary(bytes),
            Message::Text(text) => Frame::Text(text.as_str().to_owned()),
            Message::Close(_) => {
                drop(operation);
                // Reading on sends our answer to the goodbye.
                drop(client.next().await);
                return;
            }
            Message::Ping(_) | Message::Pong(_) => continue,
        };
        // An operation that has ended does not listen; what comes is read all the same, for the
        // client's goodbye is behind it.
        drop(operation.send(frame).await);
    }
}

/// What the operation sends, until it has sent everything or the client takes no more.
async fn send(mut client: SplitSink<WebSocket, Message>, mut operation: mpsc::Receiver<Frame>) {
    let mut ticks = interval(PING_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            frame = operation.recv() => match frame {
                Some(Frame::Binary(bytes)) => Message::Binary(bytes),
                Some(Frame::Text(text)) => Message::Text(text.into()),
                None => break,
            },
            _ = ticks.tick() => Message::Ping(Bytes::from_static(b"keepalive")),
        };
        if client.send(message).await.is_err() {
            return;
        }
    }
    drop(timeout(FAREWELL, client.send(Message::Close(None))).await);
}
