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
    access::Caller,
    operations::{EventKind, Message},
    tasks::Tasks,
};

/// How often a listener is asked whether it still lives, as in LXD.
const PING_EVERY: Duration = Duration::from_secs(10);

/// How many questions may stay without answer.
const MAX_UNANSWERED: u32 = 3;

/// How long a listener may take to accept a message.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);

/// What a listener wants to hear, and may.
pub(crate) struct Filter {
    /// Who listens.
    pub(crate) caller: Caller,
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
        let may_hear = self.caller.is_admin()
            || !message.is_servers && self.caller.may_see(message.project.as_deref());
        project && may_hear && self.kinds.contains(&message.kind)
    }

    /// What this listener is sent: other people's secrets are not.
    fn text(&self, message: &Message) -> String {
        let for_others = message.text_for_others.as_ref();
        let for_others = for_others.filter(|_| !self.caller.is(message.owner.as_ref()));
        for_others.unwrap_or(&message.text).clone()
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
                Ok(message) if filter.wants(&message) => Frame::text(filter.text(&message)),
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
