//! The one list of hooks, and everything that has to name each of them.

/// Turns the list in `server` into four things: the trait [`Server`](crate::Server)
/// with the hooks as they are written there, the trait [`Wrap`](crate::wrap::Wrap) with
/// the same hooks passed on, the one `Server` implementation of all wrappers, and the
/// names of the hooks.
///
/// An entry is a whole function, with its documentation and its default. The hooks of
/// the gate borrow their server, and the hooks of a room borrow it mutably. The macro
/// knows nothing else about an entry.
macro_rules! hooks {
    (
        $(#[$server:meta])*
        pub trait Server;

        gate {$(
            $(#[$gate_meta:meta])*
            fn $gate:ident(&$gate_self:ident $(, $gate_arg:ident: $gate_type:ty)* $(,)?)
                $(-> $gate_output:ty)? $gate_default:block
        )*}

        room {$(
            $(#[$room_meta:meta])*
            fn $room:ident(&mut $room_self:ident $(, $room_arg:ident: $room_type:ty)* $(,)?)
                $(-> $room_output:ty)? $room_default:block
        )*}
    ) => {
        $(#[$server])*
        pub trait Server: MaybeSend + MaybeSync + Sized + 'static {
            $(
                $(#[$gate_meta])*
                fn $gate(&$gate_self $(, $gate_arg: $gate_type)*) $(-> $gate_output)?
                    $gate_default
            )*
            $(
                $(#[$room_meta])*
                fn $room(&mut $room_self $(, $room_arg: $room_type)*) $(-> $room_output)?
                    $room_default
            )*
        }

        /// A server around another server. It implements the hooks that it changes;
        /// every other hook is passed to the inner server.
        ///
        /// Implementing this trait makes a wrapper a [`Server`]. The host calls each
        /// hook of the wrapper before the inner server has seen anything of the event.
        /// A hook that the wrapper changes calls the same hook of
        /// [`inner`](Self::inner) or [`inner_mut`](Self::inner_mut), with what it wants
        /// to pass on.
        #[diagnostic::on_unimplemented(
            message = "`{Self}` is not a server that a room or a wrapper can take",
            label = "neither has `impl Server` nor is a wrapper that goes inside another",
            note = "an outermost wrapper such as `WithAuth` goes around all others: \
                    `WithAuth::new(WithOwnership::new(server), options)`"
        )]
        pub trait Wrap: MaybeSend + MaybeSync + Sized + 'static {
            /// The server that is wrapped.
            type Inner: Server;

            /// The server that is wrapped.
            fn inner(&self) -> &Self::Inner;

            /// The server that is wrapped.
            fn inner_mut(&mut self) -> &mut Self::Inner;

            $(
                #[doc = handed_on!($gate)]
                fn $gate(&self $(, $gate_arg: $gate_type)*) $(-> $gate_output)? {
                    Server::$gate(self.inner() $(, $gate_arg)*)
                }
            )*
            $(
                #[doc = handed_on!($room)]
                fn $room(&mut self $(, $room_arg: $room_type)*) $(-> $room_output)? {
                    Server::$room(self.inner_mut() $(, $room_arg)*)
                }
            )*
        }

        impl<W: Wrap> Server for W {
            $(
                fn $gate(&self $(, $gate_arg: $gate_type)*) $(-> $gate_output)? {
                    Wrap::$gate(self $(, $gate_arg)*)
                }
            )*
            $(
                fn $room(&mut self $(, $room_arg: $room_type)*) $(-> $room_output)? {
                    Wrap::$room(self $(, $room_arg)*)
                }
            )*
        }

        /// The names of all hooks, in the order of a room's life. Tests use them to
        /// show that each hook reaches the inner server.
        pub const HOOKS: &[&str] = &[$(stringify!($gate),)* $(stringify!($room),)*];
    };
}

macro_rules! handed_on {
    ($hook:ident) => {
        concat!(
            "See [`Server::",
            stringify!($hook),
            "`]. Default: handed to the inner server."
        )
    };
}

pub(crate) use {handed_on, hooks};
