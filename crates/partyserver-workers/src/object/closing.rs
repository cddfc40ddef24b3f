//! Connections that this side has closed. Their clients may never answer.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use partyserver::host::backlog::Backlog;

use super::cell::OwnEvents;
use super::connection::Conn;
use crate::platform::{task, time};

/// Waits for the clients' answers. If one does not come, tells the room of the end.
pub(super) struct Closing {
    cell: Weak<dyn OwnEvents>,
    /// The connections, and until when each client may answer.
    waiting: RefCell<Backlog<(SystemTime, Arc<Conn>)>>,
}

impl Closing {
    pub(super) fn new(cell: Weak<dyn OwnEvents>) -> Rc<Self> {
        Rc::new(Self {
            cell,
            waiting: RefCell::default(),
        })
    }

    /// This side has closed a connection.
    pub(super) fn wait_for(self: &Rc<Self>, conn: Arc<Conn>) {
        let until = time::now() + CLOSE_TIME;
        if !self.waiting.borrow_mut().push((until, conn)) {
            return;
        }
        let (this, broken) = (Rc::clone(self), Rc::clone(self));
        let work = async move { this.wait().await };
        if !task::spawn_with(work, move || broken.unattended()) {
            self.unattended();
        }
    }

    /// Nobody waits any more: the next has it begun again.
    fn unattended(&self) {
        self.waiting.borrow_mut().unattended();
    }

    async fn wait(&self) {
        while let Some((until, conn)) = self.next() {
            if !conn.is_told() {
                let rest = until.duration_since(time::now()).unwrap_or_default();
                time::Sleep::new(rest).await;
            }
            if let Some(cell) = self.cell.upgrade()
                && !conn.is_told()
            {
                cell.unanswered(&conn).run().await;
            }
        }
    }

    fn next(&self) -> Option<(SystemTime, Arc<Conn>)> {
        self.waiting.borrow_mut().take()
    }
}

/// How long a client has to answer a close frame.
const CLOSE_TIME: Duration = Duration::from_secs(5);
