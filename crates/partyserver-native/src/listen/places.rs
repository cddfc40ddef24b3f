//! Places for clients: a limited number in all, and a limited number for each address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Places that can be taken.
pub(crate) struct Places {
    in_all: usize,
    per_address: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    in_all: usize,
    by_address: HashMap<Option<IpAddr>, usize>,
}

/// A place. It becomes free again when this is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    address: Option<IpAddr>,
}

/// What counts as one address. With IPv6 that is a network of 64 bits, because one
/// client can choose among all the addresses in it.
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

impl Places {
    pub(crate) fn new(in_all: usize, per_address: usize) -> Arc<Self> {
        Arc::new(Self {
            in_all,
            per_address,
            taken: Mutex::default(),
        })
    }

    /// Takes a place, if one is free.
    pub(crate) fn take(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Place> {
        let address = address.map(counted);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let Taken { in_all, by_address } = &mut *taken;
        let own = by_address.get(&address).copied().unwrap_or_default();
        if *in_all >= self.in_all || own >= self.per_address {
            return None;
        }
        *in_all += 1;
        by_address.insert(address, own + 1);
        drop(taken);
        Some(Place {
            places: Arc::clone(self),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let taken = &self.places.taken;
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.in_all -= 1;
        if let Some(own) = taken.by_address.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_per_address_and_in_all() {
        let places = Places::new(3, 2);
        let take = |address: &str| places.take(Some(address.parse().unwrap()));

        let first = take("203.0.113.1");
        let _second = take("::ffff:203.0.113.1");
        assert!(first.is_some() && take("203.0.113.1").is_none());
        let _third = take("2001:db8::1").expect("another address");
        assert!(take("203.0.113.2").is_none(), "there are three in all");
        drop(first);
        let _fourth = take("2001:db8::ffff:1").expect("a place was given back");
        assert_eq!(places.taken.lock().unwrap().by_address.len(), 2);
    }

    #[test]
    fn a_network_of_64_bits_counts_as_one_address() {
        let places = Places::new(10, 1);
        let take = |address: &str| places.take(Some(address.parse().unwrap()));

        let own = take("2001:db8:0:1::1");
        assert!(own.is_some() && take("2001:db8:0:1:ffff::2").is_none());
        assert!(take("2001:db8:0:2::1").is_some());
        drop(own);
        assert!(places.taken.lock().unwrap().by_address.is_empty());
    }
}
