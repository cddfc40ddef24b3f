//! From a path to a party and a room.
//!
//! The input is a prefix on the first line, the path on the last, and a party's name on
//! each line between them. A NUL in the path stands for the longest name of a room.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use partyserver::router::{MAX_ROOM_NAME, Route, Router, kebab_case};

fuzz_target!(|input: &str| -> Corpus {
    let Some((prefix, rest)) = input.split_once('\n') else {
        return Corpus::Reject;
    };
    let (names, path) = rest.rsplit_once('\n').unwrap_or(("", rest));
    let names: Vec<&str> = names.split('\n').collect();
    if names.len() > MAX_NAMES || path.matches('\0').count() > MAX_FILLS {
        return Corpus::Reject;
    }
    let path = path.replace('\0', &"a".repeat(MAX_ROOM_NAME));
    let mut router = Router::new(prefix);
    for (index, name) in names.iter().enumerate() {
        let (registered, kebab) = router.register(name);
        assert_eq!(registered, index);
        assert_eq!(*kebab, kebab_case(name));
        check_name(name);
    }
    check_route(&router, prefix, &names, &path);
    for (index, name) in names.iter().enumerate() {
        check_reachable(&router, prefix, &names[..index], name);
    }
    Corpus::Keep
});

/// PartyServer's rule, as one replacement after another.
fn check_name(name: &str) {
    let kebab = kebab_case(name);
    let expected = if name == name.to_ascii_uppercase() && name != name.to_ascii_lowercase() {
        name.to_ascii_lowercase().replace('_', "-")
    } else {
        let mut text = name.to_owned();
        for capital in 'A'..='Z' {
            text = text.replace(capital, &format!("-{}", capital.to_ascii_lowercase()));
        }
        let text = text.strip_prefix('-').unwrap_or(&text).replace('_', "-");
        text.strip_suffix('-').unwrap_or(&text).to_owned()
    };
    assert_eq!(kebab, expected, "{name:?}");
    assert!(!kebab.contains('_') && !kebab.contains(|c: char| c.is_ascii_uppercase()));
    // Only a hyphen at an end may be removed the second time.
    if !kebab.starts_with('-') && !kebab.ends_with('-') {
        assert_eq!(kebab_case(&kebab), kebab);
    }
}

/// The parts of a route are the parts of the path.
fn check_route(router: &Router, prefix: &str, names: &[&str], path: &str) {
    let parts = |text: &str| -> Vec<String> {
        let parts = text.split('/').filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    let (prefix, segments) = (parts(prefix), parts(path));
    let route = router.route(path);
    assert_eq!(route, router.route(path));
    let is_of_rooms = segments.len() >= prefix.len() + 2 && segments.starts_with(&prefix);
    let party = is_of_rooms.then(|| &segments[prefix.len()]);
    let index = |party: &String| names.iter().position(|name| kebab_case(name) == *party);
    let is_long = |room: &str| room.len() > MAX_ROOM_NAME;
    match route {
        Route::Unmatched => assert_eq!(party, None),
        Route::UnknownParty => assert_eq!(party.map(index), Some(None)),
        Route::LongName => {
            assert!(party.and_then(index).is_some() && is_long(&segments[prefix.len() + 1]));
        }
        Route::Room { party: found, room } => {
            assert_eq!(party.and_then(index), Some(found));
            assert!(!is_long(room));
            // The room is the raw segment: a piece of the path itself.
            assert_eq!(room, segments[prefix.len() + 1]);
            assert!(path.as_bytes().as_ptr_range().contains(&room.as_ptr()));
        }
    }
}

/// A party whose name can be part of a path is reached by it, unless an earlier party
/// has the same name.
fn check_reachable(router: &Router, prefix: &str, before: &[&str], name: &str) {
    let kebab = kebab_case(name);
    if kebab.is_empty() || kebab.contains('/') {
        return;
    }
    let index = before
        .iter()
        .position(|other| kebab_case(other) == kebab)
        .unwrap_or(before.len());
    let path = format!("/{prefix}/{kebab}/a%2Fb/more?x");
    let room = "a%2Fb";
    assert_eq!(router.route(&path), Route::Room { party: index, room });
}

/// The limit, because each name is compared with each.
const MAX_NAMES: usize = 8;
const MAX_FILLS: usize = 2;
