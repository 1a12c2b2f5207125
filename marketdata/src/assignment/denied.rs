// Pure: which instruments their venues have denied, until they say otherwise.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeSet;

use wire::Instrument;

/// What venues say of the instruments that they were asked for; of the rest they say nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// Those that they have.
    pub has: Vec<Instrument>,
    /// Those that they have not.
    pub lacks: Vec<Instrument>,
}

/// What stands denied. A venue that says nothing later takes nothing back.
#[derive(Debug, Default)]
pub(super) struct Denied(BTreeSet<Instrument>);

impl Denied {
    /// Venues were asked for these, and said this. Gives those that stand denied, in the order of `asked`; what is not
    /// asked for any more is forgotten.
    pub(super) fn handle_said(&mut self, asked: &[Instrument], said: &Said) -> Vec<Instrument> {
        for had in &said.has {
            self.0.remove(had);
        }
        self.0.extend(said.lacks.iter().cloned());
        let denied = asked.iter().filter(|it| self.0.contains(it));
        let denied: Vec<Instrument> = denied.cloned().collect();
        self.0 = denied.iter().cloned().collect();
        denied
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_stands_until_the_venue_says_otherwise_or_nobody_asks() {
        let of = |symbol: &str| {
            Instrument::new("binance-spot".parse().unwrap(), symbol.parse().unwrap())
        };
        let both = [of("BTC-USDT"), of("ETH-USDT")];
        let [btc, eth] = &both;
        let (only_btc, only_eth) = (std::slice::from_ref(btc), std::slice::from_ref(eth));
        let lacks = |it: &Instrument| Said {
            has: Vec::new(),
            lacks: vec![it.clone()],
        };
        let mut denied = Denied::default();
        assert_eq!(denied.handle_said(&both, &lacks(eth)), only_eth);
        // No answer: nothing new, and nothing taken back.
        assert_eq!(denied.handle_said(&both, &Said::default()), only_eth);
        assert_eq!(denied.handle_said(&both, &lacks(btc)), both);
        let has = Said {
            has: vec![eth.clone()],
            lacks: Vec::new(),
        };
        assert_eq!(denied.handle_said(&both, &has), only_btc);
        // Without it, and with it again.
        assert_eq!(denied.handle_said(only_eth, &Said::default()), []);
        assert_eq!(denied.handle_said(&both, &Said::default()), []);
    }
}
