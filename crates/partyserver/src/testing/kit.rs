//! What all rooms of a kit share: the clock, the tasks, and the failures.

use std::any::Any;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use super::cell::AnyRoom;
use super::clock::{Clock, Timer};
use super::guard::Cut;
use super::work::{self, Kind, Work};
use crate::error::Error;
use crate::maybe_send::{BoxFuture, MaybeSync};

/// The parts that rooms share.
pub(super) struct Kit {
    pub(super) clock: Arc<Clock>,
    pub(super) work: Work,
    rooms: Mutex<Vec<Weak<dyn AnyRoom>>>,
    troubles: Mutex<VecDeque<Trouble>>,
    /// Whether time passes by itself while hooks run.
    passes: AtomicBool,
    ids: AtomicU64,
}

/// A failure in the code under test.
pub(super) enum Trouble {
    Error(Error),
    Cut(Cut),
}

impl Kit {
    pub(super) fn new(now: SystemTime) -> Arc<Self> {
        Arc::new(Self {
            clock: Clock::at(now),
            work: Work::default(),
            rooms: Mutex::default(),
            troubles: Mutex::default(),
            passes: AtomicBool::new(false),
            ids: AtomicU64::new(0),
        })
    }

    pub(super) fn let_time_pass(&self) {
        self.passes.store(true, Ordering::SeqCst);
    }

    fn does_time_pass(&self) -> bool {
        self.passes.load(Ordering::SeqCst)
    }

    pub(super) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// An id that is used once. It is the same in each run of a test.
    pub(super) fn next_id(&self) -> String {
        format!("test-{:08x}", self.ids.fetch_add(1, Ordering::Relaxed))
    }

    /// Adds a room to the kit, for as long as something else holds the room.
    pub(super) fn add(&self, room: Weak<dyn AnyRoom>) {
        lock(&self.rooms).push(room);
    }

    pub(super) fn trouble(&self, trouble: Trouble) {
        lock(&self.troubles).push_back(trouble);
    }

    pub(super) fn take_troubles(&self) -> VecDeque<Trouble> {
        std::mem::take(&mut lock(&self.troubles))
    }

    /// Runs an operation and everything that follows from it.
    pub(super) async fn run<T>(&self, operation: impl Future<Output = T>) -> T {
        let outcome = self.work.beside(operation, &self.on_panic()).await;
        self.rest().await;
        outcome
    }

    /// Waits until nothing more can happen before the clock moves: hooks have ended,
    /// and spawned tasks can go no further for now.
    pub(super) async fn rest(&self) {
        let hooks: &[Kind] = if self.does_time_pass() {
            &[]
        } else {
            &[Kind::Hook]
        };
        poll_fn(|cx| self.poll_rest(cx, hooks)).await;
    }

    /// Like [`Self::rest`], and every spawned task has ended or waits for the clock.
    pub(super) async fn settle(&self) {
        poll_fn(|cx| self.poll_rest(cx, &[Kind::Hook, Kind::Spawned])).await;
    }

    fn poll_rest(&self, cx: &Context<'_>, kinds: &[Kind]) -> Poll<()> {
        loop {
            self.look();
            // Registered before the tasks run, so that no wake-up is lost.
            let rest = self.work.poll_rest(cx, kinds);
            if !self.work.run(&self.on_panic()) {
                return rest;
            }
        }
    }

    /// Moves the clock on. Everything that is due until then happens, each at its own
    /// time.
    pub(super) async fn advance_to(&self, until: SystemTime) {
        loop {
            self.rest().await;
            if !self.step(until) {
                break;
            }
        }
        self.rest().await;
    }

    /// Moves the clock to the next time at which something is due, but no further than
    /// `until`. Returns whether something was due.
    fn step(&self, until: SystemTime) -> bool {
        let next = self.next_event().filter(|at| *at <= until);
        self.clock.move_to(next.unwrap_or(until));
        self.look();
        next.is_some()
    }

    /// The next time at which something happens by itself.
    fn next_event(&self) -> Option<SystemTime> {
        let now = self.now();
        let rooms = self.rooms();
        let rooms = rooms.iter().filter_map(|room| room.next_event(now));
        rooms.chain(self.clock.next_timer()).min()
    }

    /// Starts everything that is due now.
    fn look(&self) {
        let now = self.now();
        for room in self.rooms() {
            room.look(now);
        }
    }

    pub(super) fn rooms(&self) -> Vec<Arc<dyn AnyRoom>> {
        lock(&self.rooms).iter().filter_map(Weak::upgrade).collect()
    }

    /// A hook's sleep moves the clock, because nothing else would. A spawned task's
    /// sleep waits.
    pub(super) fn sleep(self: &Arc<Self>, duration: Duration) -> BoxFuture<'static, ()> {
        let Some(mut timer) = self.timer(duration) else {
            return Box::pin(std::future::pending());
        };
        let kit = Arc::clone(self);
        Box::pin(poll_fn(move |cx| {
            if timer.poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if kit.does_time_pass() || work::is_in_spawned() {
                work::waits();
                return Poll::Pending;
            }
            kit.step(timer.at());
            if timer.poll(cx).is_ready() {
                return Poll::Ready(());
            }
            // Something else is due earlier, so it comes first.
            cx.waker().wake_by_ref();
            Poll::Pending
        }))
    }

    /// A sleep that waits for the clock, whoever calls it.
    pub(super) fn wait(self: &Arc<Self>, duration: Duration) -> BoxFuture<'static, ()> {
        let Some(mut timer) = self.timer(duration) else {
            return Box::pin(std::future::pending());
        };
        Box::pin(poll_fn(move |cx| timer.poll(cx)))
    }

    /// `None` past the end of time.
    fn timer(&self, duration: Duration) -> Option<Timer> {
        let at = self.now().checked_add(duration)?;
        Some(self.clock.timer(at))
    }

    fn on_panic(&self) -> impl Fn(Box<dyn Any + Send>) + MaybeSync {
        |panic| self.trouble(Trouble::Cut(Cut::Panicked(panic)))
    }
}

pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change behind the kit's locks is a single step, so a poisoned lock is
    // harmless.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
