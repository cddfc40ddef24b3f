//! The faults, one file each.

mod clock_jumps;
mod connect_and_close;
mod crowd_leaves;
mod damaged_file;
mod descriptors_exhausted;
mod disk_full;
mod hooks_misbehave;
mod issuer_in_trouble;
mod killed;
mod never_reads;
mod slow_senders;

use std::pin::Pin;

use tokio::task::JoinHandle;

/// A fault, and what must hold while it lasts.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) run: fn() -> Pin<Box<dyn Future<Output = Done> + Send>>,
}

/// The result of a fault when nothing has failed.
pub(crate) enum Done {
    /// Everything that must hold does. The text says what was measured.
    Holds(String),
    /// The fault can't be produced here. The text says why.
    NotHere(String),
}

/// Waits for clients. If one fails, the fault fails.
pub(crate) async fn join(clients: impl IntoIterator<Item = JoinHandle<()>>) {
    for client in clients {
        if let Err(failure) = client.await {
            std::panic::resume_unwind(failure.into_panic());
        }
    }
}

macro_rules! faults {
    ($($file:ident::$name:ident),+ $(,)?) => {
        /// Every fault, in the order of running.
        pub(crate) fn all() -> Vec<Fault> {
            vec![$(Fault {
                name: stringify!($name),
                run: || Box::pin($file::$name()),
            }),+]
        }
    };
}

faults! {
    killed::a_server_that_is_killed_loses_nothing_acknowledged,
    disk_full::a_full_disk_stops_writes_alone_and_until_there_is_room,
    damaged_file::a_damaged_file_stops_the_start,
    issuer_in_trouble::an_issuer_in_trouble_refuses_no_valid_token_and_admits_no_bad_one,
    hooks_misbehave::a_hook_that_panics_hangs_or_floods_is_ended_and_others_are_served,
    descriptors_exhausted::without_descriptors_accepting_pauses_and_recovers,
    clock_jumps::a_clock_that_jumps_extends_nothing,
    slow_senders::slow_headers_hold_up_nobody_and_are_dropped,
    slow_senders::slow_bodies_hold_up_nobody_and_are_dropped,
    slow_senders::slow_frames_hold_up_nobody_and_are_dropped,
    connect_and_close::connections_and_bad_tokens_leave_nothing_behind,
    never_reads::a_client_that_never_reads_is_told_1013_and_costs_a_bounded_amount,
    crowd_leaves::half_of_a_crowd_leaves_and_the_others_miss_nothing,
}
