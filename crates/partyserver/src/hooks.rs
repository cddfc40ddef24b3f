//! From the one list of hooks to all that must know every one of them.

/// Makes of the list in `server` the trait [`Server`](crate::Server) with the
/// hooks as they are written there, the trait [`Wrap`](crate::wrap::Wrap) with the
/// same hooks handed on, the one `Server` of all wrappers, and the hooks' names.
///
/// An entry is a whole function, with its documentation and its default. The
/// hooks of the gate borrow their server, those of a room borrow it mutably;
/// beyond that no entry needs to be known here.
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

        /// A server around a server: it says what it changes, and every other
        /// hook is handed to the inner server.
        ///
        /// A wrapper is a [`Server`] by this trait alone. Each hook is called as
        /// the host calls it, before the inner server has seen anything of the
        /// event: a wrapper that changes one hands on what it wants to by calling
        /// the same hook of [`inner`](Self::inner) or
        /// [`inner_mut`](Self::inner_mut).
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

        /// The names of all hooks, in the order of a room's life: for tests that
        /// show that each one arrives.
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
