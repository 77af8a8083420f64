// Words for people, made of what the agent says. Nothing in here touches the page.

// odd are the characters that would not be seen, or would change how the rest is seen: controls, direction, separators, what is not assigned.
const odd = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}\u00a0\u034f\u115f\u1160\u3164\uffa0]|^ +| +$/gu;

const code = (part) => [...part].map((c) => c === ' ' ? '\u2423' : `\\u{${c.codePointAt(0).toString(16)}}`).join('');

// parts cuts a text into pieces that can be shown: {text, odd}. A piece that is odd says in clear what is there.
export function parts(text) {
  const list = [];
  let from = 0;
  for (const match of text.matchAll(odd)) {
    if (match.index > from) list.push({ text: text.slice(from, match.index), odd: false });
    list.push({ text: code(match[0]), odd: true });
    from = match.index + match[0].length;
  }
  if (from < text.length) list.push({ text: text.slice(from), odd: false });
  return list;
}

// clear is a text in one piece, with all that is odd in clear.
export const clear = (text) => parts(text).map((part) => part.text).join('');

// pathParts is parts for a name as the agent tells it: a string or, where the name is not UTF-8, {base64}.
export function pathParts(path) {
  if (typeof path === 'string') return parts(path);
  const bytes = Uint8Array.from(atob(path?.base64 ?? ''), (c) => c.charCodeAt(0));
  const list = [];
  let text = '';
  for (let from = 0; from < bytes.length;) {
    const character = sequence(bytes, from);
    if (character) {
      text += character.text;
      from += character.size;
      continue;
    }
    list.push(...parts(text), { text: `\\x${bytes[from++].toString(16).padStart(2, '0')}`, odd: true });
    text = '';
  }
  return [...list, ...parts(text)];
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

// sequence decodes the one to four bytes that are one character; undefined if there is none.
function sequence(bytes, from) {
  for (let size = 1; size <= 4 && from + size <= bytes.length; size++) {
    try {
      return { size, text: strict.decode(bytes.subarray(from, from + size)) };
    } catch { /* longer, or none */ }
  }
}

export const count = (n) => (n ?? 0).toLocaleString('en');
export const plural = (n, one, many = one + 's') => `${count(n)} ${n === 1 ? one : many}`;

export function bytes(n) {
  if (!(n >= 0)) return 'unknown';
  if (n < 1024) return `${Math.round(n)} B`;
  let unit = -1;
  do { n /= 1024; unit++; } while (n >= 1023.95 && unit < 4);
  return `${n.toFixed(n < 99.95 ? 1 : 0)} ${'KMGTP'[unit]}iB`;
}

export const rate = (n) => `${bytes(n)}/s`;

// span is a length of time, in seconds, in one unit or two.
export function span(seconds) {
  let left = Math.max(0, Math.round(seconds));
  if (left < 60) return `${left} s`;
  if (left < 3600) return left < 600 && left % 60 ? `${Math.floor(left / 60)} min ${left % 60} s` : `${Math.round(left / 60)} min`;
  left = Math.round(left / 60);
  if (left < 2880) return left < 600 && left % 60 ? `${Math.floor(left / 60)} h ${left % 60} min` : `${Math.round(left / 60)} h`;
  return plural(Math.floor(left / 1440), 'day');
}

// brief is span for what took some milliseconds.
export const brief = (ms) => ms < 1000 ? `${Math.round(ms)} ms` : ms < 60000 ? `${(ms / 1000).toFixed(1)} s` : span(ms / 1000);

// coarse is span for how long ago something was: what is on the page need not change every second.
export const coarse = (seconds) => seconds < 5 ? 'just now' : seconds < 60 ? `${Math.floor(seconds / 5) * 5} s ago`
  : seconds < 3600 ? `${Math.floor(seconds / 60)} min ago` : seconds < 86400 * 2 ? `${Math.floor(seconds / 3600)} h ago`
    : `${Math.floor(seconds / 86400)} days ago`;

const two = (n) => String(n).padStart(2, '0');

// clock is the time of a moment here, with the day where that is another one than now's.
export function clock(moment, now = moment) {
  const time = `${two(moment.getHours())}:${two(moment.getMinutes())}:${two(moment.getSeconds())}`;
  return moment.toDateString() === now.toDateString() ? time : `${day(moment)} ${time}`;
}

const day = (moment) => `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;

export const full = (moment) => `${day(moment)} ${clock(moment)}`;

// shapes says which shape and colour a state has; the word is always there too.
const shapes = {
  'in step': 'ok', up: 'ok', done: 'ok', 'working again': 'ok', live: 'ok', cleared: 'ok', resumed: 'ok', averted: 'ok', watching: 'ok',
  working: 'busy', running: 'busy', due: 'busy', scanned: 'busy', queued: 'busy', triggered: 'busy', ran: 'busy',
  waiting: 'wait', retrying: 'wait', retry: 'wait', failed: 'wait', degraded: 'wait', pause: 'wait', full: 'wait', held: 'wait',
  'put off': 'wait', missed: 'wait', missing: 'wait', polling: 'wait', lost: 'wait', 'server paused': 'wait', 'no room': 'wait', starting: 'wait',
  paused: 'held', suspended: 'held', window: 'held', 'outside of its hours': 'held',
  halt: 'stop', halted: 'stop', block: 'stop', blocked: 'stop', dead: 'bad', 'gave up': 'bad', 'needs a person': 'bad', conflict: 'bad', differs: 'bad', alert: 'bad',
  unknown: 'bad', unread: 'bad',
};

export const shape = (state) => shapes[state] ?? 'off';

// stateWord is how people are told the state of a sync or of a server: the words of control.StateWord.
export const stateWord = (state) => ({
  halt: 'halted', block: 'blocked', pause: 'server paused', full: 'no room', window: 'outside of its hours',
})[state] ?? state;

export const action = (kind) => (kind ?? '').replaceAll('_', ' ');
