//! A listener of `/1.0/events`: one websocket, one direction.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::ws::{Message as Frame, WebSocket},
};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    operations::{EventKind, Message},
    tasks::Tasks,
};

/// How often a listener is asked whether it still lives, as in LXD.
const PING_EVERY: Duration = Duration::from_secs(10);

/// How many questions may stay without answer.
const MAX_UNANSWERED: u32 = 3;

/// How long a listener may take to accept a message.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);

/// What a listener wants to hear.
pub(crate) struct Filter {
    /// Kinds of messages.
    pub(crate) kinds: Vec<EventKind>,
    /// Messages of this project and of none; `None` hears all projects.
    pub(crate) project: Option<String>,
}

impl Filter {
    fn wants(&self, message: &Message) -> bool {
        let project = match (&self.project, &message.project) {
            (Some(mine), Some(its)) => mine == its,
            _ => true,
        };
        project && self.kinds.contains(&message.kind)
    }
}

/// Passes messages on until the listener goes, falls too far behind, or the daemon ends.
pub(crate) async fn serve(
    mut socket: WebSocket,
    mut listener: Receiver<Arc<Message>>,
    filter: Filter,
    tasks: Tasks,
) {
    let mut ticks = interval(PING_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut unanswered = 0;
    loop {
        let frame = tokio::select! {
            // Last, so that what happened before the end is still told.
            biased;
            received = socket.recv() => match received {
                Some(Ok(Frame::Pong(_))) => { unanswered = 0; continue }
                Some(Ok(Frame::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
            message = listener.recv() => match message {
                Ok(message) if filter.wants(&message) => Frame::text(message.text.clone()),
                Ok(_) => continue,
                // It missed something and could not know what.
                Err(RecvError::Lagged(_) | RecvError::Closed) => return,
            },
            _ = ticks.tick() => {
                unanswered += 1;
                if unanswered > MAX_UNANSWERED { return }
                Frame::Ping(Bytes::from_static(b"keepalive"))
            }
            () = tasks.stopping().cancelled() => return close(socket).await,
        };
        match timeout(WRITE_DEADLINE, socket.send(frame)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

async fn close(mut socket: WebSocket) {
    drop(timeout(WRITE_DEADLINE, socket.send(Frame::Close(None))).await);
}
