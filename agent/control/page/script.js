// The status page: asks the agent how it stands, again and again, and shows that.

import { after } from './act.js';
import { update as updateDetails } from './details.js';
import { attribute, find, hide, set, state } from './dom.js';
import * as lists from './lists.js';
import { Meter, nice, path, step } from './plot.js';
import { ask, follow, lastEvents, logout, now, Refused, rows } from './talk.js';
import * as words from './words.js';

const seconds = 1000;
const often = 2 * seconds; // how often it is asked while somebody looks,
const seldom = 30 * seconds; // and while nobody does, and at most while there is no answer
const mostShown = 1000; // rows of a list: the agent tells no more of them
const mostEvents = 100;

const meter = new Meter();
let overview;

// How it stands.

let timer, lookedAt = 0, asking = false, again = false, failures = 0, answered;

async function look() {
  clearTimeout(timer);
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  again = false;
  lookedAt = Date.now();
  try {
    overview = await ask('v1/status', { Notes: 10 });
    failures = 0;
    answered = now();
    await show();
  } catch (error) {
    failures++;
    away(error);
  }
  asking = false;
  const wait = failures ? Math.min(seldom, often * 2 ** (failures - 1)) : document.hidden ? seldom : often;
  timer = setTimeout(look, again ? 0 : wait);
}

const live = (word, shape) => state(find('live'), word, shape);

function away(error) {
  const since = answered ? `No answer since ${words.clock(answered, now())}` : 'No answer yet';
  const out = error instanceof Refused && error.status === 401;
  live(out ? 'logged out' : 'no answer', 'bad');
  const text = out ? 'You are logged out: the token has changed, or the browser has forgotten it. Load this page again to log in.'
    : error instanceof Refused ? `The agent answers with an error: ${error.message}.`
      : `${since}. ${overview ? 'What is below is how it stood then. ' : ''}The agent does not run, or the way to it is cut; this page goes on trying.`;
  set(find('away'), text);
  hide(find('away'), false);
  document.body.classList.add('stale');
}

let wasAway = false;

async function show() {
  wasAway = !find('away').hidden;
  hide(find('away'), true);
  document.body.classList.remove('stale');
  live('live', 'ok');
  set(find('about'), [overview.version, overview.started && `up for ${words.span((now() - new Date(overview.started)) / 1000)}`].filter(Boolean).join(', '));
  meter.look(overview.transfers, now() / 1000);
  const rate = overview.transfers.reduce((sum, t) => sum + t.bytes_per_second, 0);
  lists.showVerdict(overview, rate, failed);
  lists.showSyncs(overview);
  lists.showServers(overview);
  lists.showTransfers(overview);
  plot();
  updateDetails(overview);
  await lookAtFailures();
  lists.showVerdict(overview, rate, failed);
  if (wasAway) listen();
}

function plot() {
  const at = now() / 1000;
  const rates = { up: meter.rates('up', at), down: meter.rates('down', at) };
  const peak = Math.max(...rates.up, ...rates.down);
  const top = nice(peak);
  const figure = find('plot');
  for (const direction of ['up', 'down']) {
    attribute(figure.querySelector(`.line.${direction}`), 'd', path(rates[direction], top, false));
    const moving = overview.transfers.filter((t) => t.direction === direction);
    const rate = moving.length ? moving.reduce((sum, t) => sum + t.bytes_per_second, 0) : rates[direction].at(-1);
    set(find(`rate-${direction}`), words.rate(rate));
  }
  attribute(figure.querySelector('.area.up'), 'd', path(rates.up, top, true));
  set(find('rate-peak'), peak > 0 ? `top line: ${words.rate(top)}` : 'nothing in the last ten minutes');
  attribute(figure, 'aria-label', `Throughput of the last ten minutes: now ${find('rate-up').textContent} up and ${find('rate-down').textContent} down; at most ${words.rate(Math.max(...rates.up))} up and ${words.rate(Math.max(...rates.down))} down, in steps of ${step} seconds`);
}

// What has failed. It is asked for when the numbers have changed, and now and then.

let failuresOf = '', failuresAt = 0, failuresShown = 50, failed = [];

async function lookAtFailures(force) {
  const counts = { dead: 0, retrying: 0 };
  for (const { jobs } of overview.syncs) {
    counts.dead += jobs.dead;
    counts.retrying += jobs.retrying;
  }
  const of = JSON.stringify(overview.syncs.map(({ jobs }) => [jobs.dead, jobs.retrying, jobs.next_due]).filter((n) => n[0] || n[1]));
  if (force || of !== failuresOf || Date.now() > failuresAt + 10 * seconds) {
    const list = [];
    if (counts.dead) list.push(...(await rows('v1/jobs', { State: 'dead', Limit: failuresShown })).rows);
    if (counts.retrying && list.length < failuresShown) {
      const waiting = (await rows('v1/jobs', { State: 'waiting', Limit: mostShown })).rows;
      list.push(...waiting.filter((j) => j.last_error).slice(0, failuresShown - list.length));
    }
    failed = list;
    failuresOf = of;
    failuresAt = Date.now();
  }
  lists.showFailures(failed, counts, failuresShown < mostShown ? () => {
    failuresShown = Math.min(mostShown, failuresShown + 200);
    lookAtFailures(true).catch(away);
  } : undefined);
}

// What happens.

let events = [], last, listening;
const begun = now();
let counted = new Set(); // jobs that the plot has from the history

function take(found) {
  for (const e of found) {
    last = e.id;
    const when = new Date(e.when);
    const direction = { upload: 'up', download: 'down' }[e.action];
    if (e.kind === 'done' && direction && when > begun && !counted.has(e.job)) meter.over(e.job, direction, e.bytes ?? 0, (e.took_ms ?? 0) / 1000, when / 1000);
  }
  events = [...found.reverse(), ...events].slice(0, mostEvents);
  if (!find('hold').checked) showEvents();
  // What happens is worth a look at how it stands, once a second.
  if (!asking && !failures && !document.hidden) {
    clearTimeout(timer);
    timer = setTimeout(look, Math.max(0, lookedAt + seconds - Date.now()));
  }
  if (found.some((e) => e.job)) searchAgain();
}

function showEvents() {
  lists.showEvents(events);
  set(find('events-count'), events.length ? `the last ${words.count(events.length)}` : '');
}

find('hold').addEventListener('change', () => { if (!find('hold').checked) showEvents(); });

// listen follows the events as long as somebody looks: a browser has few connections to one place, and pages may be many.
async function listen() {
  listening?.abort();
  const mine = listening = new AbortController();
  for (let wait = seconds; !mine.signal.aborted && !document.hidden; wait = Math.min(seldom, wait * 2)) {
    try {
      await follow(last ?? lastEvents(50), mine.signal, (found) => {
        wait = seconds;
        take(found);
      });
    } catch { /* how it stands says so, too */ }
    if (!mine.signal.aborted) await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

document.addEventListener('visibilitychange', () => {
  if (document.hidden) {
    listening?.abort();
    return;
  }
  look();
  listen();
});

// What has happened.

const form = find('search');
const firstPage = 25;
let historyShown = firstPage, searchedAt = 0;

async function search(most) {
  historyShown = most;
  searchedAt = Date.now();
  const { sync, path: pattern, since } = form.elements;
  const filter = { Sync: sync.value.trim(), Path: pattern.value.trim(), Limit: Math.min(mostShown, most + 1) };
  if (since.value) filter.Since = new Date(now() - Number(since.value) * seconds).toISOString();
  try {
    const found = (await rows('v1/history', filter)).rows.reverse();
    const left = found.length - most;
    const shown = found.slice(0, most);
    lists.showHistory(shown, shown.length ? `the newest ${words.count(shown.length)}${left > 0 ? '' : ', all there is'}` : '',
      most < mostShown ? () => search(Math.min(mostShown, most + 200)) : undefined, most < mostShown ? left : found.length >= mostShown ? 1 : 0);
  } catch (error) {
    lists.showHistory([], error.message, undefined, 0);
  }
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  search(firstPage);
});

// searchAgain shows what is new, now and then, where that costs little and moves nothing away that somebody reads.
let searching;

function searchAgain() {
  if (historyShown > firstPage || form.elements.path.value || searching) return;
  searching = setTimeout(() => {
    searching = undefined;
    if (historyShown === firstPage && !document.hidden) search(firstPage);
  }, Math.max(seconds, searchedAt + 10 * seconds - Date.now()));
}

// The plot begins with what the history tells of its time.
async function fill() {
  const from = now() / 1000 - 620;
  const { rows: done } = await rows('v1/history', { Since: new Date(from * 1000).toISOString(), Limit: mostShown });
  for (const h of done) {
    const direction = { upload: 'up', download: 'down' }[h.op];
    if (!direction || h.result !== 'done') continue;
    const when = Date.parse(h.when) / 1000;
    meter.spread(direction, h.bytes, when - h.took_ms / 1000, when);
    counted.add(h.job);
  }
}

find('logout').addEventListener('click', async () => {
  try {
    await logout();
  } finally {
    location.reload();
  }
});

after.look = () => {
  failuresAt = 0;
  look();
};

await fill().catch(() => {});
await look();
search(historyShown);
listen();
