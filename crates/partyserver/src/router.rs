//! From a path to a party and a room, as PartyServer does it.

use std::sync::Arc;

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route<'p> {
    /// The path is not for a room: the application answers it.
    Unmatched,
    /// The path is for a room of a party that is not registered: 400.
    UnknownParty,
    /// A room name of more than [`MAX_ROOM_NAME`] bytes: 414.
    LongName,
    /// A room.
    Room {
        /// The index of the party in the router.
        party: usize,
        /// The raw room name, not percent-decoded.
        room: &'p str,
    },
}

/// The names of parties under one path prefix.
#[derive(Clone, Debug)]
pub struct Router {
    prefix: Vec<String>,
    parties: Vec<Arc<str>>,
}

impl Router {
    /// A router for `/{prefix}/{party}/{room}[/…]`. PartySocket's prefix is
    /// `parties`. A prefix may have several segments.
    pub fn new(prefix: &str) -> Self {
        Self {
            prefix: segments(prefix).map(str::to_owned).collect(),
            parties: Vec::new(),
        }
    }

    /// Registers a party and returns its index and its kebab-case name.
    pub fn register(&mut self, name: &str) -> (usize, Arc<str>) {
        let name: Arc<str> = kebab_case(name).into();
        self.parties.push(Arc::clone(&name));
        (self.parties.len() - 1, name)
    }

    /// Where a path leads. Empty segments are ignored. What follows the room is for the
    /// room alone.
    pub fn route<'p>(&self, path: &'p str) -> Route<'p> {
        let mut segments = segments(path);
        for expected in &self.prefix {
            if segments.next() != Some(expected) {
                return Route::Unmatched;
            }
        }
        let (Some(party), Some(room)) = (segments.next(), segments.next()) else {
            return Route::Unmatched;
        };
        match self.parties.iter().position(|name| **name == *party) {
            None => Route::UnknownParty,
            Some(_) if room.len() > MAX_ROOM_NAME => Route::LongName,
            Some(party) => Route::Room { party, room },
        }
    }
}

/// The longest name of a room, in bytes. Whoever may ask for a room chooses its name,
/// and the name is kept in memory and in the store.
pub const MAX_ROOM_NAME: usize = 1024;

/// The kebab-case of a registered name: `MY_ROOM` → `my-room`, `MyRoom` → `my-room`. It
/// follows PartyServer's rules in PartyServer's order: an underscore at the start
/// stays, as a hyphen. Only ASCII letters change case here, because a path has no
/// others.
pub fn kebab_case(name: &str) -> String {
    let lowercase = name.to_ascii_lowercase();
    let is_constant = name == name.to_ascii_uppercase() && name != lowercase;
    if is_constant {
        return lowercase.replace('_', "-");
    }
    let mut kebab = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            kebab.push('-');
        }
        kebab.push(c.to_ascii_lowercase());
    }
    let kebab = kebab.strip_prefix('-').unwrap_or(&kebab).replace('_', "-");
    kebab.strip_suffix('-').unwrap_or(&kebab).to_owned()
}

/// The class name of a kebab-case name: `on-start-server` → `OnStartServer`.
pub(crate) fn class_name(kebab: &str) -> String {
    kebab
        .split('-')
        .flat_map(|word| {
            let mut chars = word.chars();
            chars
                .next()
                .into_iter()
                .map(|first| first.to_ascii_uppercase())
                .chain(chars)
        })
        .collect()
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_kebab_case() {
        for (name, kebab) in [
            ("MyRoom", "my-room"),
            ("MY_ROOM", "my-room"),
            ("Main", "main"),
            ("main", "main"),
            ("OnStartServer", "on-start-server"),
            ("private-chat", "private-chat"),
            ("chat_room_", "chat-room"),
            ("_chat", "-chat"),
            ("_Chat", "--chat"),
            ("-chat", "chat"),
            ("CHAT__", "chat--"),
        ] {
            assert_eq!(kebab_case(name), kebab);
        }
        assert_eq!(class_name("on-start-server"), "OnStartServer");
    }

    #[test]
    fn paths_lead_where_party_server_leads_them() {
        let mut router = Router::new("parties");
        router.register("chat");
        router.register("PrivateChat");
        fn room(party: usize, room: &str) -> Route<'_> {
            Route::Room { party, room }
        }
        for (path, route) in [
            ("/parties/chat/a", room(0, "a")),
            ("//parties//chat//a//", room(0, "a")),
            ("/parties/private-chat/a%20b/c/d", room(1, "a%20b")),
            ("/parties/chat", Route::Unmatched),
            ("/parties/chat/", Route::Unmatched),
            ("/parties", Route::Unmatched),
            ("/", Route::Unmatched),
            ("/other/chat/a", Route::Unmatched),
            ("/Parties/chat/a", Route::Unmatched),
            ("/parties/nothing/a", Route::UnknownParty),
            ("/parties/Chat/a", Route::UnknownParty),
        ] {
            assert_eq!(router.route(path), route, "{path}");
        }
        let long = "x".repeat(MAX_ROOM_NAME);
        for (path, route) in [
            (format!("/parties/chat/{long}/x"), room(0, &long)),
            (format!("/parties/chat/{long}x/x"), Route::LongName),
            (format!("/parties/nothing/{long}x"), Route::UnknownParty),
        ] {
            assert_eq!(router.route(&path), route);
        }
    }
}
