//! The websockets of an operation: who knows a secret connects a client to one end of it.
//!
//! What travels is a [`Frame`]; HTTP pumps frames between the client's socket and ours, so that
//! nothing here knows how a websocket is upgraded. Channels are short: a client that does not
//! read holds up whoever writes to it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout_at,
};

use super::{new_secret, same_secret};
use crate::{
    api::objects::Metadata,
    error::{Error, Result},
};

/// How long clients may take to connect, as in LXD.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How many frames may be under way in one direction.
const QUEUE: usize = 4;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Data.
    Binary(Bytes),
    /// A message of the control socket; on others an empty one means the end of the data.
    Text(String),
}

impl Frame {
    /// LXD's sign for the end of the data.
    pub(crate) fn end() -> Self {
        Self::Text(String::new())
    }
}

/// One side of a client's websocket. Dropped, the other side sees the end.
#[derive(Debug)]
pub(crate) struct Socket {
    /// What the other side sends.
    pub(crate) incoming: mpsc::Receiver<Frame>,
    /// What the other side is sent.
    pub(crate) outgoing: mpsc::Sender<Frame>,
}

impl Socket {
    /// Both sides of one.
    pub(crate) fn pair() -> (Self, Self) {
        let (one, two) = (mpsc::channel(QUEUE), mpsc::channel(QUEUE));
        let ours = Self {
            incoming: one.1,
            outgoing: two.0,
        };
        let theirs = Self {
            incoming: two.1,
            outgoing: one.0,
        };
        (ours, theirs)
    }
}

/// Where clients of an operation come in, each by its secret, once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Doors(Arc<BTreeMap<&'static str, Door>>);

#[derive(Debug)]
struct Door {
    secret: String,
    /// Guards that one client comes in.
    waiting: Mutex<Option<oneshot::Sender<Socket>>>,
}

/// The clients that have come in, and those that are still to come.
#[derive(Debug)]
pub(crate) struct Arrivals(Vec<(&'static str, Arrival)>);

/// One client that may still come.
#[derive(Debug)]
pub(crate) struct Arrival(oneshot::Receiver<Socket>);

impl Doors {
    /// One for each of these names.
    pub(crate) fn new(names: &[&'static str]) -> Result<(Self, Arrivals)> {
        let mut doors = BTreeMap::new();
        let mut arrivals = Vec::new();
        for name in names {
            let (sender, receiver) = oneshot::channel();
            let door = Door {
                secret: new_secret()?,
                waiting: Mutex::new(Some(sender)),
            };
            doors.insert(*name, door);
            arrivals.push((*name, Arrival(receiver)));
        }
        Ok((Self(Arc::new(doors)), Arrivals(arrivals)))
    }

    /// The secrets by name, for the operation's metadata.
    pub(crate) fn secrets(&self) -> Metadata {
        let doors = self.0.iter();
        doors
            .map(|(name, door)| ((*name).to_owned(), door.secret.clone().into()))
            .collect()
    }

    /// Lets a client with this secret in: the side of its socket that HTTP has.
    ///
    /// # Errors
    ///
    /// LXD's text when no door has this secret, or somebody has come in already.
    pub(crate) fn enter(&self, secret: &str) -> Result<Socket> {
        let refused = || Error::failed("permission denied");
        // All are compared, so that the time tells nothing.
        let known = self.0.values().fold(None, |found, door| {
            if same_secret(&door.secret, secret) {
                Some(door)
            } else {
                found
            }
        });
        let door = known.ok_or_else(refused)?;
        let mut waiting = door.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = waiting.take().ok_or_else(refused)?;
        let (ours, theirs) = Socket::pair();
        // Nobody waits any more when the operation has ended.
        sender.send(ours).ok().ok_or_else(refused)?;
        Ok(theirs)
    }
}

impl Arrivals {
    /// Takes out a client that is not waited for.
    pub(crate) fn take(&mut self, name: &str) -> Option<Arrival> {
        let position = self.0.iter().position(|(other, _)| *other == name)?;
        Some(self.0.remove(position).1)
    }

    /// Waits until every client is there.
    ///
    /// # Errors
    ///
    /// LXD's text when they take too long.
    pub(crate) async fn all(self) -> Result<BTreeMap<&'static str, Socket>> {
        self.all_within(CONNECT_WITHIN).await
    }

    async fn all_within(self, patience: Duration) -> Result<BTreeMap<&'static str, Socket>> {
        let deadline = tokio::time::Instant::now() + patience;
        let mut sockets = BTreeMap::new();
        for (name, arrival) in self.0 {
            match timeout_at(deadline, arrival.0).await {
                Ok(Ok(socket)) => drop(sockets.insert(name, socket)),
                Ok(Err(_)) | Err(_) => {
                    return Err(Error::failed("Timed out waiting for websockets to connect"));
                }
            }
        }
        Ok(sockets)
    }
}

impl Arrival {
    /// Waits for the client, for ever if it does not come.
    pub(crate) async fn socket(self) -> Socket {
        match self.0.await {
            Ok(socket) => socket,
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(doors: &Doors, name: &str) -> String {
        doors.secrets()[name].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn each_secret_opens_its_door_once() {
        let (doors, arrivals) = Doors::new(&["0", "control"]).unwrap();
        let theirs = doors.enter(&secret(&doors, "0")).unwrap();
        let again = doors.enter(&secret(&doors, "0")).unwrap_err();
        assert_eq!(again.message(), "permission denied");
        assert!(doors.enter("").is_err());
        let _control = doors.enter(&secret(&doors, "control")).unwrap();
        let mut ours = arrivals.all().await.unwrap();
        theirs.outgoing.send(Frame::end()).await.unwrap();
        let socket = ours.get_mut("0").unwrap();
        assert_eq!(socket.incoming.recv().await, Some(Frame::end()));
    }

    #[tokio::test]
    async fn who_is_not_waited_for_may_come_later() {
        let (doors, mut arrivals) = Doors::new(&["0", "control"]).unwrap();
        let control = arrivals.take("control").unwrap();
        assert!(arrivals.take("control").is_none());
        let _one = doors.enter(&secret(&doors, "0")).unwrap();
        assert_eq!(arrivals.all().await.unwrap().len(), 1);
        let theirs = doors.enter(&secret(&doors, "control")).unwrap();
        theirs.outgoing.send(Frame::end()).await.unwrap();
        let mut ours = control.socket().await;
        assert_eq!(ours.incoming.recv().await, Some(Frame::end()));
    }

    #[tokio::test]
    async fn nobody_is_waited_for_for_ever() {
        let (doors, arrivals) = Doors::new(&["0", "1"]).unwrap();
        let _one = doors.enter(&secret(&doors, "0")).unwrap();
        let error = arrivals.all_within(Duration::ZERO).await.unwrap_err();
        assert_eq!(
            error.message(),
            "Timed out waiting for websockets to connect"
        );
        assert!(doors.enter(&secret(&doors, "1")).is_err());
    }
}
