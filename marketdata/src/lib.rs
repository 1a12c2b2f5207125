//! marketdata
