//! A room's values in memory, by type.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A room's values by their type, for wrappers. Every task that has a handle to the
/// room finds what a hook put here. The values are in memory only.
#[derive(Default)]
pub struct Locals(Mutex<Vec<Value>>);

/// Each value knows its own type. There are few values, so a search looks at each.
type Value = Arc<dyn Any + Send + Sync>;

impl Locals {
    /// Keeps a value, in place of an earlier one of its type.
    pub fn insert<T: Any + Send + Sync>(&self, value: T) {
        self.share(Arc::new(value));
    }

    /// Keeps a value that others hold too. Otherwise like [`Locals::insert`].
    pub fn share<T: Any + Send + Sync>(&self, value: Arc<T>) {
        let earlier = {
            let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(earlier) = values.iter_mut().find(|earlier| (***earlier).is::<T>()) {
                Some(std::mem::replace(earlier, value))
            } else {
                // Most rooms have one or two, and there are many rooms.
                values.reserve_exact(1);
                values.push(value);
                None
            }
        };
        // Dropped after the lock is released, because the value's destructor may look
        // at the other values.
        drop(earlier);
    }

    /// The value of this type.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let value = values.iter().find(|value| (***value).is::<T>())?;
        Arc::clone(value).downcast().ok()
    }
}

impl fmt::Debug for Locals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Locals")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_of_a_type() {
        let locals = Locals::default();
        assert_eq!(locals.get::<u8>(), None);
        locals.insert(1_u8);
        locals.insert("text");
        locals.share(Arc::new(2_u8));
        assert_eq!(locals.get::<u8>().as_deref(), Some(&2));
        assert_eq!(locals.get::<&str>().as_deref(), Some(&"text"));
    }
}
