// How much has moved in the last ten minutes.

export const step = 5; // seconds
export const steps = 120;

// Meter counts bytes by direction in steps of time. It takes what transfers under way have moved from one look to the next, and what
// is known of those that are over, each byte once.
export class Meter {
  constructor() {
    this.up = new Map(); // number of a step to bytes
    this.down = new Map();
    this.seen = new Map(); // job to what was counted of it, in bytes
    this.ended = new Map(); // job to when it was over, in seconds
    this.looked = 0; // seconds
  }

  // spread counts bytes that moved evenly between two moments, in seconds.
  spread(direction, bytes, from, to) {
    const counts = direction === 'down' ? this.down : this.up;
    if (!(bytes > 0)) return;
    from = Math.min(from, to - 0.001);
    const whole = to - from;
    from = Math.max(from, to - step * steps * 2); // older than anything that is shown
    for (let at = Math.floor(from / step); at * step < to; at++) {
      const part = Math.min(to, (at + 1) * step) - Math.max(from, at * step);
      if (part > 0) counts.set(at, (counts.get(at) ?? 0) + bytes * part / whole);
    }
  }

  // look takes the transfers under way.
  look(transfers, now) {
    const since = this.looked || now;
    const running = new Set();
    for (const t of transfers) {
      const began = Date.parse(t.started) / 1000;
      if (this.ended.get(t.job) > began) continue; // an answer that was overtaken
      running.add(t.job);
      const moved = Math.max(0, t.done - (t.resumed ?? 0));
      const known = this.seen.get(t.job);
      if (known && known.began === began) this.spread(t.direction, moved - known.moved, since, now);
      else this.spread(t.direction, moved, began, now); // at its average until now
      this.seen.set(t.job, { moved, began, direction: t.direction });
    }
    for (const [job, known] of this.seen) {
      if (!running.has(job) && (known.gone ??= now) < now - 60) this.seen.delete(job); // its end has not been told
    }
    this.looked = now;
    for (const [job, when] of this.ended) if (when < now - 60) this.ended.delete(job);
    for (const counts of [this.up, this.down]) {
      for (const at of counts.keys()) if (at < now / step - steps - 1) counts.delete(at);
    }
  }

  // over takes a transfer that is over: how many bytes it has moved, and in which time.
  over(job, direction, bytes, took, when) {
    const known = this.seen.get(job);
    this.seen.delete(job);
    this.ended.set(job, when);
    if (known && known.began > when - took - 2) this.spread(direction, bytes - known.moved, Math.min(this.looked, when), when);
    else this.spread(direction, bytes, when - took, when);
  }

  // rates are the bytes a second of each step, the last one that is over last.
  rates(direction, now) {
    const counts = direction === 'down' ? this.down : this.up;
    const last = Math.floor(now / step) - 1;
    return Array.from({ length: steps }, (_, i) => (counts.get(last - steps + 1 + i) ?? 0) / step);
  }
}

// nice is the next round number of bytes.
export function nice(n) {
  let unit = 1024;
  while (unit * 1024 <= n) unit *= 1024;
  return unit * ([1, 2, 3, 5, 8, 10, 15, 20, 30, 50, 80, 100, 150, 200, 300, 500, 800, 1024].find((m) => unit * m >= n) ?? 1024);
}

// path draws rates in a box of 300 by 100.
export function path(rates, top, closed) {
  const points = rates.map((rate, i) => `${(i * 300 / (rates.length - 1)).toFixed(1)} ${(99.5 - 97 * Math.min(1, rate / top)).toFixed(1)}`);
  return `M${points.join('L')}${closed ? 'L300 99.5L0 99.5Z' : ''}`;
}
