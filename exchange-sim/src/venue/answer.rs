// Pure: REST answers, and the budgets that requests are taken from.
#![deny(clippy::disallowed_methods)]

use serde_json::Value;

/// A REST answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Extra headers.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: String,
}

impl Answer {
    pub(crate) fn ok(body: String) -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body,
        }
    }

    pub(crate) fn list(rows: impl Iterator<Item = String>) -> Self {
        Self::ok(format!("[{}]", rows.collect::<Vec<_>>().join(",")))
    }

    /// Binance's error: `{"code":-1121,"msg":"Invalid symbol."}`.
    pub(crate) fn code(status: u16, code: i32, message: &str) -> Self {
        let body = format!(r#"{{"code":{code},"msg":{}}}"#, Value::from(message));
        Self {
            status,
            headers: Vec::new(),
            body,
        }
    }

    /// Coinbase's error: `{"message":"NotFound"}`.
    pub(crate) fn message(status: u16, message: &str) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: format!(r#"{{"message":{}}}"#, Value::from(message)),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: u64) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

/// A query string, without decoding: none of the venues' parameters needs it but Binance's symbol lists.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a>(pub &'a str);

impl<'a> Query<'a> {
    /// A parameter's text; one that is empty is as good as absent.
    pub fn get(self, name: &str) -> Option<&'a str> {
        let pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .into_iter()
            .find(|(key, value)| *key == name && !value.is_empty())
            .map(|(_, value)| value)
    }

    /// A parameter's whole number, the parameter's name if it is none.
    pub(crate) fn number<T: std::str::FromStr>(self, name: &str) -> Result<Option<T>, &str> {
        self.get(name)
            .map(|text| text.parse().map_err(|_| name))
            .transpose()
    }
}

/// What may be asked in a time. One for all clients: they all come from one address here.
#[derive(Debug)]
pub struct Budget {
    /// What is full at the start, and at most.
    capacity: u64,
    /// How long an empty one takes to fill, milliseconds.
    fill_ms: u64,
    /// Whether it fills all at once at the end of each period (Binance's minutes), or steadily (Coinbase).
    by_period: bool,
    /// Spent, in units x `fill_ms`, so that steady filling stays in whole numbers.
    spent: u64,
    at_ms: u64,
    /// Requests refused since the last that was granted.
    refused: u64,
}

/// Why a budget refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// After how many seconds to ask again.
    pub retry_after_s: u64,
    /// How many requests were refused in a row, this one included.
    pub refused: u64,
}

impl Budget {
    /// Binance's: so much weight in each period.
    #[must_use]
    pub fn by_period(capacity: u64, period_ms: u64) -> Self {
        Self {
            capacity,
            fill_ms: period_ms,
            by_period: true,
            spent: 0,
            at_ms: 0,
            refused: 0,
        }
    }

    /// Coinbase's: so many requests a second, so many at once.
    #[must_use]
    pub fn steady(per_second: u64, burst: u64) -> Self {
        let fill_ms = burst * 1_000 / per_second.max(1);
        Self {
            capacity: burst,
            fill_ms: fill_ms.max(1),
            by_period: false,
            spent: 0,
            at_ms: 0,
            refused: 0,
        }
    }

    /// Takes so much, or says when to ask again.
    ///
    /// # Errors
    /// [`Refusal`] if there is not as much left; nothing is taken then.
    pub fn handle_request(&mut self, now_ms: u64, weight: u64) -> Result<(), Refusal> {
        self.fill(now_ms);
        let spent = self.spent + weight * self.fill_ms;
        if spent <= self.capacity * self.fill_ms {
            self.spent = spent;
            self.refused = 0;
            return Ok(());
        }
        self.refused += 1;
        let wait_ms = if self.by_period {
            self.fill_ms - now_ms % self.fill_ms
        } else {
            self.fill_ms
        };
        Err(Refusal {
            retry_after_s: wait_ms.div_ceil(1_000),
            refused: self.refused,
        })
    }

    /// What is spent of this period.
    #[must_use]
    pub fn spent(&self) -> u64 {
        self.spent / self.fill_ms
    }

    fn fill(&mut self, now_ms: u64) {
        if !self.by_period {
            self.spent = self
                .spent
                .saturating_sub((now_ms - self.at_ms.min(now_ms)) * self.capacity);
        } else if now_ms / self.fill_ms > self.at_ms / self.fill_ms {
            self.spent = 0;
        }
        self.at_ms = now_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_fills_at_its_end() {
        let mut budget = Budget::by_period(10, 60_000);
        assert_eq!(budget.handle_request(1_000, 10), Ok(()));
        assert_eq!(
            budget.handle_request(30_500, 1),
            Err(Refusal {
                retry_after_s: 30,
                refused: 1
            })
        );
        assert_eq!(
            budget.handle_request(59_999, 1),
            Err(Refusal {
                retry_after_s: 1,
                refused: 2
            })
        );
        assert_eq!(
            (budget.handle_request(60_000, 4), budget.spent()),
            (Ok(()), 4)
        );
    }

    #[test]
    fn a_steady_one_fills_all_the_time() {
        let mut budget = Budget::steady(10, 15);
        let granted = |budget: &mut Budget, now_ms| {
            (0..100)
                .filter(|_| budget.handle_request(now_ms, 1).is_ok())
                .count()
        };
        assert_eq!(granted(&mut budget, 0), 15);
        assert_eq!(granted(&mut budget, 99), 0);
        assert_eq!(granted(&mut budget, 1_000), 10);
        assert_eq!(granted(&mut budget, 60_000), 15);
    }

    #[test]
    fn queries() {
        let query = Query("symbol=BTCUSDT&limit=5&empty=&x");
        assert_eq!(
            (query.get("symbol"), query.get("empty"), query.get("x")),
            (Some("BTCUSDT"), None, None)
        );
        assert_eq!(
            (query.number::<u64>("limit"), query.number::<u64>("symbol")),
            (Ok(Some(5)), Err("symbol"))
        );
    }
}
