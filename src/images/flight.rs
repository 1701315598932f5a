//! One download for all who want the same image at once.
//!
//! Whoever comes first starts it; who comes later joins it, whatever project they ask from. It
//! goes on as long as anybody waits for it, and everybody is told how far it is.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::admit::Offered;
use crate::{
    error::{Error, Kind, Result},
    operations::Operation,
    remote::{Held, Meter},
    tasks::Tasks,
};

/// What is downloaded: from where, with which secret, what.
pub(super) type Key = (String, String);

/// The downloads under way. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Flights(Arc<Mutex<BTreeMap<Key, Seats>>>);

/// A download, and how many wait for it.
#[derive(Debug)]
struct Seats {
    taken: usize,
    flight: Arc<Flight>,
}

/// A download.
#[derive(Debug)]
struct Flight {
    told: Arc<watch::Sender<Option<String>>>,
    /// Holds it back as long as nobody waits for it who was not told to.
    held: Option<Held>,
    landed: watch::Sender<Option<Landed>>,
    cancel: CancellationToken,
}

/// How it ended.
#[derive(Debug, Clone)]
enum Landed {
    Here(Offered),
    Failed(Kind, String),
}

impl Landed {
    fn of(outcome: Result<Offered>) -> Self {
        match outcome {
            Ok(offered) => Self::Here(offered),
            Err(error) => {
                if let Some(cause) = error.cause() {
                    tracing::error!(%error, cause = format!("{cause:#}"), "download failed");
                }
                Self::Failed(error.kind(), error.message().to_owned())
            }
        }
    }

    fn outcome(self) -> Result<Offered> {
        match self {
            Self::Here(offered) => Ok(offered),
            Self::Failed(kind, message) => Err(Error::new(kind, message)),
        }
    }
}

/// A place in a download. Given up, the download goes on for the others, or ends.
#[derive(Debug)]
pub(super) struct Ticket {
    flights: Flights,
    key: Key,
    flight: Arc<Flight>,
}

impl Flights {
    /// Joins the download of `key`, or starts it. It may be `held` back as long as everybody who
    /// joins says so.
    pub(super) fn join<W>(
        &self,
        tasks: &Tasks,
        (key, held): (Key, Option<Held>),
        download: impl FnOnce(Meter) -> W,
    ) -> Ticket
    where
        W: Future<Output = Result<Offered>> + Send + 'static,
    {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seats = flights.entry(key.clone()).or_insert_with(|| {
            let flight = Arc::new(Flight {
                told: Arc::new(watch::Sender::new(None)),
                held: held.clone(),
                landed: watch::Sender::new(None),
                cancel: CancellationToken::new(),
            });
            let meter = Meter::new(Arc::clone(&flight.told)).held(held.clone());
            let work = download(meter);
            self.start(tasks, &key, &flight, work);
            Seats { taken: 0, flight }
        });
        seats.taken += 1;
        if held.is_none() {
            seats.flight.held.as_ref().map(Held::lift);
        }
        let flight = Arc::clone(&seats.flight);
        Ticket {
            flights: self.clone(),
            key,
            flight,
        }
    }

    fn start<W>(&self, tasks: &Tasks, key: &Key, flight: &Arc<Flight>, work: W)
    where
        W: Future<Output = Result<Offered>> + Send + 'static,
    {
        let (flights, key, flight) = (self.clone(), key.clone(), Arc::clone(flight));
        tasks.spawn("download", async move {
            let work = AssertUnwindSafe(work).catch_unwind();
            let Some(outcome) = flight.cancel.run_until_cancelled(work).await else {
                return;
            };
            let outcome = outcome.unwrap_or_else(|_| Err(Error::failed("Internal error")));
            if outcome.is_err() {
                // Whoever comes now is to try for themselves.
                flights.forget(&key, &flight);
            }
            flight.landed.send_replace(Some(Landed::of(outcome)));
        });
    }

    fn forget(&self, key: &Key, flight: &Arc<Flight>) {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if flights
            .get(key)
            .is_some_and(|seats| Arc::ptr_eq(&seats.flight, flight))
        {
            flights.remove(key);
        }
    }
}

impl Ticket {
    /// Waits for the end, telling `operation` how far it is.
    ///
    /// # Errors
    ///
    /// Why the download failed.
    pub(super) async fn wait(&self, operation: &Operation) -> Result<Offered> {
        let mut landed = self.flight.landed.subscribe();
        let mut told = self.flight.told.subscribe();
        told.mark_changed();
        let telling = async {
            while told.changed().await.is_ok() {
                let text = told.borrow_and_update().clone();
                if let Some(text) = text {
                    operation.tell_progress("download_progress", &text);
                }
            }
        };
        let outcome = tokio::select! {
            outcome = landed.wait_for(Option::is_some) => outcome.ok().and_then(|it| it.clone()),
            () = telling => None,
        };
        let last = self.flight.told.borrow().clone();
        if let Some(text) = last {
            operation.tell_progress("download_progress", &text);
        }
        outcome.map_or_else(
            || Err(Error::failed("Download interrupted")),
            Landed::outcome,
        )
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut flights = self
            .flights
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(seats) = flights.get_mut(&self.key) else {
            return;
        };
        if !Arc::ptr_eq(&seats.flight, &self.flight) {
            return;
        }
        seats.taken -= 1;
        if seats.taken == 0 {
            flights.remove(&self.key);
            self.flight.cancel.cancel();
        }
    }
}
