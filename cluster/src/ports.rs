//! Loopback ports for servers that must come back on the same port after they were killed.
//!
//! They are taken from below the range that the kernel gives to outgoing connections: while a server is down, such a
//! connection could otherwise be given its port, even one that tries to reach it. Two test processes may still choose
//! the same port; whoever starts a server tries again with others when it does not come up.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, bail};

/// The lowest port given.
const LOWEST: u32 = 15_000;
/// Where the kernel's range begins when it cannot be asked.
const KERNEL_USUAL: u32 = 32_768;

/// How many ports this process has tried. Each process begins elsewhere.
static TRIED: AtomicU32 = AtomicU32::new(0);

/// A loopback address on which nobody listens now, and which this process has not been given before.
///
/// # Errors
/// When every port is taken.
pub fn free() -> Result<SocketAddr> {
    let span = kernel_lowest().saturating_sub(LOWEST);
    if span < 1_000 {
        // An unusual range; then the kernel chooses.
        return Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?);
    }
    // Process ids of tests that run together are near each other: spread them.
    let first = std::process::id().wrapping_mul(7_919) % span;
    for _ in 0..span {
        let nth = TRIED.fetch_add(1, Ordering::Relaxed);
        let port = LOWEST + (first + nth % span) % span;
        let Ok(port) = u16::try_from(port) else {
            continue;
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("every port from {LOWEST} on is taken");
}

/// The first port that outgoing connections are given.
fn kernel_lowest() -> u32 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let lowest = range.split_whitespace().next();
    lowest
        .and_then(|lowest| lowest.parse().ok())
        .unwrap_or(KERNEL_USUAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice_or_while_taken() {
        let held: Vec<_> = (0..20).map(|_| free().unwrap()).collect();
        let mut distinct = held.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), held.len());
        let _listening = TcpListener::bind(held[0]).unwrap();
        let more: Vec<_> = (0..20).map(|_| free().unwrap()).collect();
        assert!(more.iter().all(|address| !held.contains(address)));
    }
}
