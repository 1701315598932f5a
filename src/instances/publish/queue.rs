//! Who publishes when: a few at a time, the projects in turn, each project's in their order.
//!
//! Packing and compressing takes the whole machine, so that many at once would only all be slow.
//! Whoever waits has nothing but a place here, and knows how many come before it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

/// The queue. Cheap to clone; all clones are one queue.
#[derive(Debug, Clone)]
pub(super) struct Queue(Arc<Mutex<State>>);

/// Guarded together, so that there are never more at once than there may be.
#[derive(Debug)]
struct State {
    /// How many may publish at once.
    width: usize,
    running: usize,
    /// Of each project that had something here since nothing was left to do.
    lanes: BTreeMap<String, Lane>,
    /// How many were let in or came, for putting them in order.
    count: u64,
}

/// What waits of a project.
#[derive(Debug, Default)]
struct Lane {
    /// When it was its turn, by count.
    served: u64,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    id: u64,
    told: watch::Sender<Standing>,
}

/// Where somebody stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// So many come before.
    Behind(usize),
    /// It is their turn.
    In,
}

/// A place in the queue, and then the turn. Dropped, it is given up.
#[derive(Debug)]
pub(super) struct Place {
    queue: Queue,
    project: String,
    id: u64,
    told: watch::Receiver<Standing>,
}

impl Queue {
    pub(super) fn new(width: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            width: width.max(1),
            running: 0,
            lanes: BTreeMap::new(),
            count: 0,
        })))
    }

    /// Lets so many at once publish from now on. Those that do go on.
    pub(super) fn resize(&self, width: usize) {
        let mut state = self.state();
        state.width = width.max(1);
        state.advance();
    }

    /// Takes a place behind the others of the project.
    pub(super) fn enter(&self, project: &str) -> Place {
        let mut state = self.state();
        state.count += 1;
        let id = state.count;
        let (sender, told) = watch::channel(Standing::Behind(0));
        let lane = state.lanes.entry(project.to_owned()).or_default();
        lane.waiting.push_back(Waiting { id, told: sender });
        state.advance();
        Place {
            queue: self.clone(),
            project: project.to_owned(),
            id,
            told,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits for the turn, which lasts as long as the place is kept. `tell` is told how many come
    /// before, whenever that changes.
    pub(super) async fn turn(&mut self, tell: impl Fn(usize)) {
        loop {
            let standing = *self.told.borrow_and_update();
            match standing {
                Standing::In => return,
                Standing::Behind(count) => tell(count),
            }
            if self.told.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        let lane = state.lanes.entry(self.project.clone()).or_default();
        let position = lane.waiting.iter().position(|it| it.id == self.id);
        match position {
            Some(position) => drop(lane.waiting.remove(position)),
            None => state.running -= 1,
        }
        state.advance();
    }
}

impl State {
    /// Lets in whom there is room for, and tells the others where they stand.
    fn advance(&mut self) {
        while self.running < self.width
            && let Some(next) = self.next()
        {
            self.running += 1;
            next.told.send_replace(Standing::In);
        }
        let order = self.order();
        if order.is_empty() && self.running == 0 {
            self.lanes.clear();
        }
        for (before, id) in order.into_iter().enumerate() {
            self.tell(id, Standing::Behind(self.running + before));
        }
    }

    /// The first of the project whose last turn is longest ago.
    fn next(&mut self) -> Option<Waiting> {
        let lanes = self.lanes.values_mut();
        let lane = lanes
            .filter(|lane| !lane.waiting.is_empty())
            .min_by_key(|lane| lane.rank(lane.served, 0))?;
        self.count += 1;
        lane.served = self.count;
        lane.waiting.pop_front()
    }

    /// Those who wait, in the order in which it will be their turn if nobody else comes.
    fn order(&self) -> Vec<u64> {
        let mut order = Vec::new();
        // What a lane's last turn will have been, and how many of it are in by then.
        let mut lanes: Vec<_> = self
            .lanes
            .values()
            .map(|lane| (lane.served, 0, lane))
            .collect();
        let mut turn = self.count;
        while let Some((served, taken, lane)) = lanes
            .iter_mut()
            .filter(|(_, taken, lane)| *taken < lane.waiting.len())
            .min_by_key(|(served, taken, lane)| lane.rank(*served, *taken))
        {
            order.extend(lane.waiting.get(*taken).map(|waiting| waiting.id));
            turn += 1;
            (*served, *taken) = (turn, *taken + 1);
        }
        order
    }

    fn tell(&self, id: u64, standing: Standing) {
        let mut waiting = self.lanes.values().flat_map(|lane| &lane.waiting);
        if let Some(waiting) = waiting.find(|waiting| waiting.id == id) {
            waiting.told.send_if_modified(|old| {
                let is_new = *old != standing;
                *old = standing;
                is_new
            });
        }
    }
}

impl Lane {
    /// What puts lanes in order: whose turn is longest ago, then who came first.
    fn rank(&self, served: u64, taken: usize) -> (u64, Option<u64>) {
        (served, self.waiting.get(taken).map(|waiting| waiting.id))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// Where somebody stands: `None` when it is their turn.
    fn before(place: &mut Place) -> Option<usize> {
        let seen = std::cell::Cell::new(None);
        let turn = place.turn(|count| seen.set(Some(count))).now_or_never();
        if turn.is_some() { None } else { seen.get() }
    }

    #[test]
    fn one_at_a_time_in_their_order() {
        let queue = Queue::new(1);
        let mut places: Vec<_> = (0..3).map(|_| queue.enter("p")).collect();
        let standing: Vec<_> = places.iter_mut().map(before).collect();
        assert_eq!(standing, [None, Some(1), Some(2)]);
        places.remove(0);
        let standing: Vec<_> = places.iter_mut().map(before).collect();
        assert_eq!(standing, [None, Some(1)]);
    }

    #[test]
    fn projects_take_turns() {
        let queue = Queue::new(1);
        let first = queue.enter("many");
        let mut many: Vec<_> = (0..3).map(|_| queue.enter("many")).collect();
        let mut few = queue.enter("few");
        // The other project has had its turn.
        assert_eq!(before(&mut few), Some(1));
        let standing: Vec<_> = many.iter_mut().map(before).collect();
        assert_eq!(standing, [Some(2), Some(3), Some(4)]);
        drop(first);
        assert_eq!(before(&mut few), None);
        let mut again = queue.enter("few");
        assert_eq!(before(&mut again), Some(2));
        drop(few);
        assert_eq!(before(&mut many[0]), None);
        assert_eq!(before(&mut again), Some(1));
        assert_eq!(before(&mut many[1]), Some(2));
    }

    #[test]
    fn a_project_that_comes_back_after_each_turn_does_not_keep_others_waiting() {
        let queue = Queue::new(1);
        let mut busy = queue.enter("busy");
        let patient = [queue.enter("patient"), queue.enter("patient")];
        for mut place in patient {
            assert_eq!(before(&mut busy), None);
            let next = queue.enter("busy");
            drop(std::mem::replace(&mut busy, next));
            assert_eq!(before(&mut place), None);
        }
    }

    #[test]
    fn who_gives_up_lets_the_others_move_up() {
        let queue = Queue::new(1);
        let running = queue.enter("p");
        let gone = queue.enter("p");
        let mut last = queue.enter("p");
        assert_eq!(before(&mut last), Some(2));
        drop(gone);
        assert_eq!(before(&mut last), Some(1));
        drop(running);
        assert_eq!(before(&mut last), None);
        drop(last);
        assert!(queue.state().lanes.is_empty());
        assert_eq!(queue.state().running, 0);
    }

    #[test]
    fn a_wider_queue_lets_more_in_at_once() {
        let queue = Queue::new(1);
        let mut places: Vec<_> = (0..4).map(|_| queue.enter("p")).collect();
        queue.resize(3);
        let standing: Vec<_> = places.iter_mut().map(before).collect();
        assert_eq!(standing, [None, None, None, Some(3)]);
        queue.resize(1);
        places.remove(0);
        assert_eq!(before(&mut places[2]), Some(2));
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let queue = Queue::new(1);
        let running = queue.enter("p");
        let mut waiting = queue.enter("p");
        let turn = waiting.turn(|_| ());
        let (done, ()) = tokio::join!(turn, async { drop(running) });
        assert_eq!(done, ());
    }
}
