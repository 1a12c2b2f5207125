"""nautilus_trader's time bars over the same tape of trades, for the side-by-side table.

Reads the tape that the bench binary wrote: little-endian records of
(symbol u32, id u64, time_ms i64, price in 1e-8 i64, size in 1e-8 i64, taker_buy u8), 37 bytes each.
Prints one JSON object. Only aggregation is timed, by this process's CPU time: ticks are built before,
as the bench binary's trades are.
"""

import json
import struct
import sys
import time
from decimal import Decimal

import nautilus_trader
from nautilus_trader.common.component import TestClock
from nautilus_trader.data.aggregation import TimeBarAggregator
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import BarType, TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TradeId, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Price, Quantity

RECORD = struct.Struct("<IQqqqB")
STEPS = {"1s": "1-SECOND", "1m": "1-MINUTE", "1h": "1-HOUR", "1d": "1-DAY"}
UNIT = Decimal("0.00000001")


def instrument(number):
    name = f"S{number}USDT"
    return CurrencyPair(
        instrument_id=InstrumentId(Symbol(name), Venue("BINANCE")),
        raw_symbol=Symbol(name),
        base_currency=BTC,
        quote_currency=USDT,
        price_precision=8,
        size_precision=8,
        price_increment=Price.from_str("0.00000001"),
        size_increment=Quantity.from_str("0.00000001"),
        ts_event=0,
        ts_init=0,
    )


def main(path, trades_max):
    with open(path, "rb") as file:
        records = list(RECORD.iter_unpack(file.read(RECORD.size * trades_max)))
    instruments = {number: instrument(number) for number in sorted({record[0] for record in records})}
    start_ns = records[0][2] // 86_400_000 * 86_400_000 * 1_000_000
    clock = TestClock()
    clock.set_time(start_ns)
    bars = []
    aggregators = {
        number: [
            TimeBarAggregator(
                inst,
                BarType.from_str(f"{inst.id}-{step}-LAST-INTERNAL"),
                bars.append,
                clock,
                interval_type="right-open",
                timestamp_on_close=False,
                build_with_no_updates=True,
            )
            for step in STEPS.values()
        ]
        for number, inst in instruments.items()
    }
    buyer, seller = AggressorSide.BUYER, AggressorSide.SELLER
    # Prices and sizes are made from their text, so that no float rounds them.
    ticks = [
        (
            aggregators[number],
            time_ms * 1_000_000,
            TradeTick(
                instruments[number].id,
                Price.from_str(f"{price * UNIT:.8f}"),
                Quantity.from_str(f"{size * UNIT:.8f}"),
                buyer if taker_buy else seller,
                TradeId(str(trade_id)),
                time_ms * 1_000_000,
                time_ms * 1_000_000,
            ),
        )
        for number, trade_id, time_ms, price, size, taker_buy in records
    ]
    began = time.process_time()
    # The clock moves when the tape's millisecond does; its timers close the bars.
    now_ns = 0
    for group, ts, tick in ticks:
        if ts != now_ns:
            now_ns = ts
            for event in clock.advance_time(ts):
                event.handle()
        for aggregator in group:
            aggregator.handle_trade_tick(tick)
    cpu_s = time.process_time() - began
    # What the bench binary compares: the closed one-second bars that hold trades.
    seconds = [bar for bar in bars if bar.bar_type.spec.timedelta.total_seconds() == 1 and bar.volume.as_decimal() > 0]
    print(
        json.dumps(
            {
                "version": nautilus_trader.__version__,
                "trades": len(ticks),
                "cpu_s": cpu_s,
                "bars_1s": len(seconds),
                "volume_1s": str(sum((bar.volume.as_decimal() for bar in seconds), Decimal(0))),
                "close_1s": str(sum((bar.close.as_decimal() for bar in seconds), Decimal(0))),
            }
        )
    )


main(sys.argv[1], int(sys.argv[2]))
