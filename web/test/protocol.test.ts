import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFrame, parseHttpError, parseKlines, parseTopics, subscribe } from "../src/protocol.ts";
import { bar } from "./bars.ts";

const BAR = JSON.stringify({ op: "bar", ...bar(1) });

function check(frame: string, ops: readonly string[], bad: number): void {
  const parsed = parseFrame(frame);
  assert.deepEqual(parsed.messages.map((message) => message.op), ops, frame);
  assert.equal(parsed.bad, bad, frame);
}

test("a frame holds one object or several, and one bad part costs no other", () => {
  check(BAR, ["bar"], 0);
  check(`${BAR}\n{"op":"pong","id":5}\n`, ["bar", "pong"], 0);
  check('{"op":"ok","id":1,"topics":["kline:1m:BTC-USDT"]}', ["ok"], 0);
  check('{"op":"ok"}', ["ok"], 0);
  check('{"op":"error","code":"unknown_topic","message":"no","topic":"x"}', ["error"], 0);
  check('{"op":"missed","topic":"kline:1m:BTC-USDT","from":3,"to":9}', ["missed"], 0);
  check(`nonsense\n${BAR}\n{"op":"bar"}\n[]\nnull\n3`, ["bar"], 5);
  check("", [], 0);
  check("\n \n", [], 0);
  check('{"op":"missed","topic":"t","from":"3","to":9}', [], 1);
  check('{"op":"later invention"}', [], 1);
  check('{"__proto__":{"op":"pong"}}', [], 1);
});

test("a bar with a field missing or of the wrong kind is no bar", () => {
  const refuse = (change: Record<string, unknown>): void => check(JSON.stringify({ op: "bar", ...bar(1), ...change }), [], 1);
  for (const key of Object.keys(bar(1))) refuse({ [key]: undefined });
  for (const amount of [1.5, "", "1e5", "NaN", "1.", ".5", "1,000", " 1", null]) refuse({ close: amount });
  for (const time of ["1", 1.5, 9e15, null, Number.MAX_SAFE_INTEGER + 1]) refuse({ start: time });
  refuse({ completeness: "perfect" });
  refuse({ closed: "true" });
  refuse({ end: bar(1).start });
});

test("unknown fields are ignored, ids may be null, amounts keep their text", () => {
  check(JSON.stringify({ op: "bar", ...bar(1), first_id: null, last_id: null, colour: "red" }), ["bar"], 0);
  const [message] = parseFrame(JSON.stringify({ op: "bar", ...bar(1), volume: "123456789012345678901234567890.000000000000000001" })).messages;
  assert.equal(message?.op === "bar" && message.bar.volume, "123456789012345678901234567890.000000000000000001");
});

test("HTTP bodies", () => {
  assert.deepEqual(parseKlines(`{"bars":[${BAR},{}],"next":null}`)?.bars.length, 1);
  assert.equal(parseKlines(`{"bars":[${BAR},{}],"next":null}`)?.bad, 1);
  assert.equal(parseKlines('{"bars":[],"next":"abc"}')?.next, "abc");
  assert.equal(parseKlines("<html>"), null);
  assert.equal(parseKlines('{"bars":{}}'), null);
  assert.deepEqual(parseTopics('{"topics":[{"topic":"t","venue":"v","symbol":"s","interval":"1m"},{"topic":3}]}'), [
    { topic: "t", venue: "v", symbol: "s", interval: "1m" },
  ]);
  assert.equal(parseTopics("[]"), null);
  assert.deepEqual(parseHttpError('{"error":{"code":"bad_interval","message":"no"}}'), { code: "bad_interval", message: "no" });
  assert.equal(parseHttpError('{"error":"no"}'), null);
  assert.equal(parseHttpError("oops"), null);
});

test("subscribe says after what, if anything", () => {
  assert.equal(subscribe(1, "kline:1m:A-B", null), '{"op":"subscribe","topics":["kline:1m:A-B"],"id":1}');
  assert.equal(subscribe(2, "kline:1m:A-B", 8), '{"op":"subscribe","topics":["kline:1m:A-B"],"id":2,"after":{"kline:1m:A-B":8}}');
});
