//! The tasks that run beside the caller: hooks that nobody waits for, and what a room
//! has spawned.

use std::any::Any;
use std::cell::Cell;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::maybe_send::{BoxFuture, MaybeSync};

/// The kit's own little executor. The test that uses the kit drives it.
#[derive(Default)]
pub(super) struct Work {
    tasks: Mutex<Vec<Task>>,
    callers: Arc<Callers>,
    /// Whether some caller is driving it now.
    is_driven: AtomicBool,
}

#[derive(Clone)]
struct Task {
    kind: Kind,
    /// `None` while the task runs.
    future: Arc<Mutex<Option<BoxFuture<'static, ()>>>>,
    signal: Arc<Signal>,
    /// Whether the task waits for something in the kit: the clock, or another turn.
    waits: Arc<AtomicBool>,
}

/// Who started a task.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A hook of a room.
    Hook,
    /// What a room's code has spawned.
    Spawned,
}

/// Whom to wake when a task can go on.
#[derive(Default)]
struct Callers {
    wakers: Mutex<Vec<Waker>>,
    /// How many wake-ups there were so far.
    count: AtomicU64,
}

struct Signal {
    /// The number of the wake-up that put the task in line to run; 0 if none did.
    woken: AtomicU64,
    callers: Arc<Callers>,
}

impl Signal {
    fn set(&self) {
        let number = self.callers.count.fetch_add(1, Ordering::SeqCst) + 1;
        // A task that was woken already keeps its place.
        let _ = (self.woken).compare_exchange(0, number, Ordering::SeqCst, Ordering::SeqCst);
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.set();
        self.callers.wake();
    }
}

impl Callers {
    fn register(&self, waker: &Waker) {
        let mut wakers = self.lock();
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }

    fn wake(&self) {
        let wakers = std::mem::take(&mut *self.lock());
        for waker in wakers {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    /// Adds a task.
    pub(super) fn add(&self, kind: Kind, future: BoxFuture<'static, ()>) {
        let signal = Signal {
            woken: AtomicU64::new(0),
            callers: Arc::clone(&self.callers),
        };
        signal.set();
        self.lock().push(Task {
            kind,
            future: Arc::new(Mutex::new(Some(future))),
            signal: Arc::new(signal),
            waits: Arc::default(),
        });
        self.callers.wake();
    }

    /// Runs a future and the tasks beside it. `on_panic` is called for each task that
    /// panics.
    pub(super) async fn beside<T>(
        &self,
        future: impl Future<Output = T>,
        on_panic: &(impl Fn(Box<dyn Any + Send>) + MaybeSync),
    ) -> T {
        let mut future = pin!(future);
        poll_fn(|cx| {
            loop {
                self.callers.register(cx.waker());
                if let Poll::Ready(outcome) = future.as_mut().poll(cx) {
                    return Poll::Ready(outcome);
                }
                if !self.run(on_panic) {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Ready when the tasks of these kinds can only go on after the kit's clock moves
    /// or another turn ends.
    pub(super) fn poll_rest(&self, cx: &Context<'_>, kinds: &[Kind]) -> Poll<()> {
        self.callers.register(cx.waker());
        let tasks = self.lock();
        let is_at_work = |task: &Task| {
            kinds.contains(&task.kind) && !task.waits.load(Ordering::SeqCst) || task.is_woken()
        };
        if tasks.iter().any(is_at_work) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }

    /// Runs the tasks that were woken, in the order of waking, until they wait again.
    /// Returns whether there were any.
    pub(super) fn run(&self, on_panic: &impl Fn(Box<dyn Any + Send>)) -> bool {
        if self.is_driven.swap(true, Ordering::SeqCst) {
            return false;
        }
        let mut has_run = false;
        loop {
            let first = {
                let tasks = self.lock();
                let woken = tasks.iter().filter(|task| task.is_woken());
                woken.min_by_key(|task| task.woken()).cloned()
            };
            let Some(task) = first else { break };
            has_run = true;
            task.signal.woken.store(0, Ordering::SeqCst);
            match task.run() {
                Ok(Poll::Pending) => continue,
                Ok(Poll::Ready(())) => {}
                Err(panic) => on_panic(panic),
            }
            self.lock()
                .retain(|other| !Arc::ptr_eq(&other.signal, &task.signal));
        }
        self.is_driven.store(false, Ordering::SeqCst);
        if has_run {
            self.callers.wake();
        }
        has_run
    }

    /// Drops all tasks.
    pub(super) fn clear(&self) {
        let tasks = std::mem::take(&mut *self.lock());
        drop(tasks);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Task>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Task {
    fn woken(&self) -> u64 {
        self.signal.woken.load(Ordering::SeqCst)
    }

    fn is_woken(&self) -> bool {
        self.woken() > 0
    }

    fn run(&self) -> Result<Poll<()>, Box<dyn Any + Send>> {
        let taken = self.lock().take();
        let Some(mut future) = taken else {
            return Ok(Poll::Ready(()));
        };
        let waker = Waker::from(Arc::clone(&self.signal));
        catch_unwind(AssertUnwindSafe(|| {
            let within = Within::begin(self.kind);
            let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
            self.waits.store(WAITS.get(), Ordering::SeqCst);
            drop(within);
            if polled.is_pending() {
                *self.lock() = Some(future);
            }
            polled
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Option<BoxFuture<'static, ()>>> {
        self.future.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

thread_local! {
    static IN_SPAWNED: Cell<bool> = const { Cell::new(false) };
    static WAITS: Cell<bool> = const { Cell::new(false) };
}

/// Marks that a task is being polled, for the time of one poll.
struct Within;

impl Within {
    fn begin(kind: Kind) -> Self {
        IN_SPAWNED.set(kind == Kind::Spawned);
        WAITS.set(false);
        Self
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        IN_SPAWNED.set(false);
    }
}

/// Called when the task that is polled now waits for something in the kit.
pub(super) fn waits() {
    WAITS.set(true);
}

/// Whether a room's code spawned the task that is polled now.
pub(super) fn is_in_spawned() -> bool {
    IN_SPAWNED.get()
}
