//! Locks of plain data.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// No holder panics with the data half changed, so a poisoned lock still guards sound data.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
