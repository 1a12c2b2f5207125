//! Locks of plain data.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks plain data: no holder panics with it half changed, so a poisoned lock still guards sound data.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
