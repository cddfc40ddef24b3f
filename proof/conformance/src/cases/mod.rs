//! The cases, a file per group of rules.

mod attacks;
mod cors_and_query;
mod hibernation;
mod limits;
mod operators;
mod ownership;
mod provider;
mod refusals;
mod routing;
mod sockets;
mod streams;
mod tokens;

use std::pin::Pin;

use crate::world::Shared;

/// One rule, with the case that shows it.
pub(crate) struct Case {
    pub(crate) rule: &'static str,
    pub(crate) name: &'static str,
    pub(crate) run: fn(Shared) -> Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// The cases of a file: `cases! { "rule" => [ name, … ] }`. Each is an async function
/// of the world.
macro_rules! cases {
    ($($rule:literal => [$($name:ident),+ $(,)?]),+ $(,)?) => {
        pub(super) fn cases() -> Vec<crate::cases::Case> {
            vec![$($(crate::cases::Case {
                rule: $rule,
                name: stringify!($name),
                run: |world| Box::pin($name(world)),
            }),+),+]
        }
    };
}
use cases;

pub(crate) fn all() -> Vec<Case> {
    [
        // Cases that wait long come first, so that others run at the same time.
        hibernation::cases(),
        provider::cases(),
        attacks::cases(),
        refusals::cases(),
        tokens::cases(),
        cors_and_query::cases(),
        ownership::cases(),
        sockets::cases(),
        streams::cases(),
        routing::cases(),
        limits::cases(),
        operators::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
