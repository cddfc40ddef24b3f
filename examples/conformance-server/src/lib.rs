//! The servers of the conformance suite's parties. Nothing here names a host.

mod alarm;
mod before;
mod closing;
mod echo;
mod faulty;
mod instance;
mod parties;
mod probe;
mod props;
mod slow;
mod start;
mod stateful;
mod streams;
mod tags;

pub use alarm::Alarm;
pub use before::Before;
pub use closing::Closing;
pub use echo::Echo;
pub use faulty::Faulty;
pub use parties::parties;
pub use probe::{PrivateProbe, Probe};
pub use props::Props;
pub use slow::Slow;
pub use start::{FailingStart, OnStartServer};
pub use stateful::Stateful;
pub use streams::Streams;
pub use tags::Tags;
