//! The one place that knows whether futures and trait objects must be `Send`.
//!
//! Native hosts move rooms between threads, so everything that a room holds is `Send`
//! there. On wasm32 there is one thread, and the platform's handles are not `Send`.
//! Other files write their bounds with these names, and no other file looks at the
//! target.

use std::pin::Pin;

#[cfg(not(target_arch = "wasm32"))]
mod bounds {
    /// `Send` natively, nothing on wasm32.
    pub trait MaybeSend: Send {}
    impl<T: Send + ?Sized> MaybeSend for T {}

    /// `Sync` natively, nothing on wasm32.
    pub trait MaybeSync: Sync {}
    impl<T: Sync + ?Sized> MaybeSync for T {}

    /// A boxed future, `Send` natively.
    pub type BoxFuture<'a, T> = super::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
}

#[cfg(target_arch = "wasm32")]
mod bounds {
    /// `Send` natively, nothing on wasm32.
    pub trait MaybeSend {}
    impl<T: ?Sized> MaybeSend for T {}

    /// `Sync` natively, nothing on wasm32.
    pub trait MaybeSync {}
    impl<T: ?Sized> MaybeSync for T {}

    /// A boxed future, `Send` natively.
    pub type BoxFuture<'a, T> = super::Pin<Box<dyn Future<Output = T> + 'a>>;
}

pub use bounds::{BoxFuture, MaybeSend, MaybeSync};
