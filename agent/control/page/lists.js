// The lists of the page. Each function shows what it is given; what is the same stays as it is.

import * as act from './act.js';
import { attribute, find, hide, keep, make, more, name, set, state, table, time } from './dom.js';
import { explain, showSync } from './details.js';
import { now } from './talk.js';
import * as words from './words.js';

const section = Object.fromEntries([...document.querySelectorAll('main > section')].map((node) => [node.id, node]));
const body = Object.fromEntries(Object.entries(section).filter(([, node]) => node.querySelector('table')).map(([id, node]) => [id, table(node)]));

const moment = (text) => text ? new Date(text) : undefined;
const ago = (node, text) => {
  const at = moment(text);
  time(node, at, at ? words.coarse((now() - at) / 1000) : 'never');
};
const until = (text) => words.span((new Date(text) - now()) / 1000);

// button creates one; its name for ears says what it is about.
const button = (text, about, click) => make('button', { type: 'button', 'aria-label': `${text.replace('…', '')} ${about}`, click }, text);

const plain = () => make('span', { class: 'quiet' });

// stopText says what keeps a sync from going on, for people.
function stopText(stop) {
  const next = stop.until && new Date(stop.until) > now() ? `next try in ${until(stop.until)}` : '';
  switch (stop.by) {
    case 'waiting': return `${stop.reason}; nothing is deleted, and it looks again in ${stop.until ? until(stop.until) : 'a moment'} before it halts`;
    case 'paused': case 'window': case 'off': return stop.reason;
    default: return [stop.reason, next].filter(Boolean).join('; ');
  }
}

// kinds says of each kind of problem, what is worst first, what is wrong with the sync or the server, and what a person can do here.
const kinds = {
  stopped: { says: () => 'is stuck', shape: 'stop' },
  configuration: { says: () => 'does not do all that its configuration says', shape: 'stop' },
  halted: { says: () => 'is halted', shape: 'stop', can: approve },
  blocked: { says: () => 'cannot be used', shape: 'stop', can: tryAgain },
  absence: { says: () => 'has not got what it expects' },
  dead: { says: (s) => s ? `has given up on ${words.plural(s.jobs.dead, 'job')}` : 'has given up on jobs', can: retry },
  conflict: { says: () => 'has conflicts', can: look },
  differs: { says: () => 'has files that differ', can: look },
  unknown: { says: () => 'has paths that cannot be looked at', can: look },
  certificate: { says: () => 'has a certificate that ends', shape: 'wait' },
};

const ranks = Object.keys(kinds);
const rank = (kind) => ranks.includes(kind) ? ranks.indexOf(kind) : ranks.length;

function approve(s) {
  const stop = s.jobs.stop;
  if (stop?.by !== 'halt') return {};
  return { text: stop.reason, more: stop.deletes > 0 ? `${words.plural(stop.deletes, 'file')} would be deleted` : '', button: 'Approve…', click: () => act.approve(s.sync, stop) };
}

function tryAgain(s) {
  const syncs = s.syncs ?? [];
  return { more: `Waiting for it: ${syncs.slice(0, 5).join(', ')}${syncs.length > 5 ? ` and ${syncs.length - 5} more` : ''}`, button: 'Try again', click: () => act.tryServer(s) };
}

function retry(s, failed) {
  const first = failed.find((j) => j.sync === s.sync && j.state === 'dead');
  return { ...first && { path: first.path, text: first.last_error ?? '' }, more: s.jobs.dead > 1 ? 'The other reasons are below, at Failures.' : '',
    button: s.jobs.dead > 1 ? 'Retry all' : 'Retry', click: () => act.retry({ sync: s.sync, state: 'dead' }) };
}

function look(s) {
  return { button: 'Details', click: () => showSync(s.sync) };
}

// needsOf lists the problems that wait for a person, what is worst first, and certificates that end soon, for which it is not too late.
export function needsOf(overview, failed) {
  const list = [], again = new Map();
  for (const p of overview.problems) {
    if (!p.needs_person && p.kind !== 'certificate') continue;
    const kind = kinds[p.kind] ?? { says: () => `has a problem (${p.kind})` };
    const about = p.sync ? overview.syncs.find((s) => s.sync === p.sync) : overview.servers.find((s) => s.server === p.server);
    const key = JSON.stringify([p.kind, p.sync, p.server]);
    again.set(key, (again.get(key) ?? 0) + 1);
    list.push({ key: `${key} ${again.get(key)}`, rank: rank(p.kind), counts: p.needs_person, title: [p.sync || p.server || 'The agent', kind.says(about)], shape: kind.shape ?? 'bad',
      text: p.text, more: p.cure ?? '', ...about && kind.can?.(about, failed) });
  }
  return list.sort((a, b) => a.rank - b.rank);
}

const mostNeeds = 12;

function verdict(overview, needs) {
  const waited = overview.servers.filter((s) => s.state === 'paused' || s.state === 'full');
  const paused = overview.syncs.filter((s) => s.state === 'paused').length;
  const of = (...states) => overview.syncs.filter((s) => states.includes(s.state)).length;
  const persons = needs.filter((n) => n.counts).length;
  if (persons) return ['bad', `${words.plural(persons, 'thing needs', 'things need')} a person`];
  if (of('needs a person')) return ['bad', `${words.plural(of('needs a person'), 'sync needs', 'syncs need')} a person`];
  if (!overview.syncs.length) return ['off', 'No sync is configured'];
  if (waited.length) return ['wait', waited.length === 1 ? `Waiting for ${words.clear(waited[0].server)}` : `Waiting for ${waited.length} servers`];
  if (of('working')) return ['busy', 'Working'];
  if (of('waiting', 'degraded', 'full')) return ['wait', of('degraded') ? 'In step, but not every change is noticed at once' : 'Waiting'];
  if (of('new')) return ['busy', 'Looking for the first time'];
  const name = paused ? `In step, with ${words.plural(paused, 'sync')} paused` : 'Everything is in step';
  return [paused ? 'held' : 'ok', name];
}

export function showVerdict(overview, rates, failed) {
  const needs = needsOf(overview, failed);
  const [shape, text] = verdict(overview, needs);
  const title = find('verdict-title');
  attribute(title.firstElementChild, 'class', `shape ${shape}`);
  set(title.lastElementChild, text);
  attribute(section.verdict, 'class', shape);
  const persons = needs.filter((n) => n.counts).length;
  document.title = `${persons ? `(${persons}) ` : ''}ftpferry: ${text.toLowerCase()}`;
  const known = overview.syncs.reduce((sum, s) => sum + s.known, 0);
  const running = overview.transfers.length;
  const facts = [words.plural(overview.syncs.length, 'sync'), `${words.plural(known, 'path')} in step`];
  if (running) facts.push(`${words.plural(running, 'transfer')} at ${words.rate(rates)}`);
  set(find('summary'), facts.join(', '));
  const shown = needs.slice(0, mostNeeds);
  if (needs.length > mostNeeds) shown.push({ key: '…', title: ['', `and ${words.count(needs.length - mostNeeds)} more, below`], shape: 'off', text: '', more: '' });
  hide(find('needs'), !shown.length);
  keep(find('needs'), shown, (n) => n.key, () => {
    const node = make('li', {}, make('i', { 'aria-hidden': 'true' }), make('div', {}, make('p', {}, make('strong'), ' ', make('span')), make('p', { class: 'path' }), make('p', { class: 'reason' }), make('p', { class: 'quiet' })));
    node.button = make('button', { type: 'button', click: () => node.need.click() });
    node.append(node.button);
    return node;
  }, (node, need) => {
    node.need = need;
    const [shapeNode, box] = node.children;
    attribute(shapeNode, 'class', `shape ${need.shape}`);
    const [head, path, reason, hint] = box.children;
    name(head.firstElementChild, need.title[0]);
    set(head.lastElementChild, need.title[1]);
    name(path, need.path ?? '');
    name(reason, need.text, true);
    set(hint, need.more);
    for (const p of [path, reason, hint]) hide(p, !p.textContent);
    hide(node.button, !need.button);
    set(node.button, need.button ?? '');
    attribute(node.button, 'class', need.shape === 'stop' ? 'main' : undefined);
    attribute(node.button, 'aria-label', `${(need.button ?? '').replace('…', '')}: ${words.clear(need.title[0])} ${need.title[1]}`);
  });
}

// limits are how many rows of each list are shown; a person can ask for more.
const limits = { syncs: 50, servers: 50, transfers: 25 };

const widen = (id, again) => () => {
  limits[id] += 200;
  again();
};

function leftToDo(jobs) {
  const list = [];
  if (jobs.running) list.push(`${words.count(jobs.running)} running`);
  if (jobs.due) list.push(`${words.count(jobs.due)} due`);
  if (jobs.waiting) list.push(`${words.count(jobs.waiting)} waiting`);
  if (jobs.dead) list.push(`${words.count(jobs.dead)} given up`);
  return list.join(', ') || 'nothing';
}

const directions = { up: 'up to', down: 'down from', both: 'both ways with' };

const search = () => find('syncs-find').value.trim().toLowerCase();

export function showSyncs(overview) {
  const again = () => showSyncs(overview);
  find('syncs-find').oninput = again;
  const wanted = search();
  const states = new Map();
  for (const s of overview.syncs) states.set(words.stateWord(s.state), (states.get(words.stateWord(s.state)) ?? 0) + 1);
  set(find('syncs-count'), [...states].sort((a, b) => b[1] - a[1]).map(([word, n]) => `${words.count(n)} ${word}`).join(', '));
  hide(find('syncs-filter'), overview.syncs.length < 12 && !wanted);
  const found = overview.syncs.filter((s) => `${s.sync} ${s.server} ${words.stateWord(s.state)}`.toLowerCase().includes(wanted));
  keep(body.syncs, found.slice(0, limits.syncs), (s) => s.sync, () => {
    const row = body.syncs.row();
    const [who, how, , , last, next, actions] = row.parts;
    who.append(make('span', { class: 'name' }), plain());
    how.append(make('span', { class: 'state' }), make('span', { class: 'reason' }));
    last.append(make('time'));
    next.append(make('time'));
    return Object.assign(row, { actions });
  }, (row, s) => {
    const [who, how, known, left, last, next, actions] = row.parts;
    name(who.firstElementChild, s.sync);
    set(who.lastElementChild, `${directions[s.direction] ?? s.direction} ${words.clear(s.server)}`);
    state(how.firstElementChild, words.stateWord(s.state));
    name(how.lastElementChild, reasonOf(s));
    set(known, words.count(s.known));
    set(left, leftToDo(s.jobs));
    ago(last.firstElementChild, s.last_success);
    showNext(next.firstElementChild, s);
    row.sync = s;
    if (!actions.firstElementChild) {
      actions.className = 'actions';
      actions.append(button('Details', s.sync, () => showSync(s.sync)), button('Pause…', s.sync, () => pauseOrResume(row.sync)));
    }
    const toggle = actions.lastElementChild;
    set(toggle, s.paused ? 'Resume' : 'Pause…');
    attribute(toggle, 'aria-label', `${s.paused ? 'Resume' : 'Pause'} ${s.sync}`);
  });
  const left = found.length - limits.syncs;
  more(section.syncs, left, `${words.count(left)} more.`, widen('syncs', again));
  keep(find('sync-names'), overview.syncs.slice(0, 500), (s) => s.sync, (s) => make('option', { value: s.sync }), () => {});
}

const pauseOrResume = (s) => s.paused ? act.resume({ syncs: [s.sync] }) : act.pause({ syncs: [s.sync] }, `Pause ${s.sync}?`);

function reasonOf(s) {
  if (s.jobs.stop) return stopText(s.jobs.stop);
  const watch = s.watch;
  if (watch && watch.state !== 'watching' && watch.state !== 'starting') return [`${watch.state}: ${watch.reason ?? ''}`, watch.cure].filter(Boolean).join('; ');
  if (s.jobs.retrying) return `${words.plural(s.jobs.retrying, 'job')} failed and will be tried again${s.jobs.next_due ? ` in ${until(s.jobs.next_due)}` : ''}`;
  if (s.held_all) return `${words.plural(s.held_all, 'file')} not complete yet`;
  return '';
}

function showNext(node, s) {
  const times = [...(s.schedules ?? []).map((line) => line.next), s.next_poll].filter((t) => t && new Date(t) > now()).sort((a, b) => new Date(a) - new Date(b));
  const watched = s.watch?.state === 'watching' ? 'on change' : '';
  time(node, moment(times[0]), times[0] ? [watched, `in ${until(times[0])}`].filter(Boolean).join(', ') : watched);
}

// whyServer says why a server is not used, and for how long.
export const whyServer = (s) => [
  s.reason, s.until && new Date(s.until) > now() ? `${s.paused || s.state === 'window' ? 'it goes on' : 'next try'} in ${until(s.until)}` : '',
].filter(Boolean).join('; ');

export function showServers(overview) {
  const again = () => showServers(overview);
  const connections = overview.servers.reduce((sum, s) => sum + s.connections, 0);
  set(find('servers-count'), `${words.plural(overview.servers.length, 'server')}, ${words.plural(connections, 'connection')}`);
  keep(body.servers, overview.servers.slice(0, limits.servers), (s) => s.server, () => {
    const row = body.servers.row();
    const [who, how, , , used] = row.parts;
    who.append(make('span', { class: 'name' }), plain());
    how.append(make('span', { class: 'state' }), make('span', { class: 'reason' }));
    used.append(make('time'));
    return row;
  }, (row, s) => {
    const [who, how, connections, data, used, actions] = row.parts;
    const limit = `${words.count(s.connections)} of ${words.count(s.limit)}`;
    name(who.firstElementChild, s.server);
    name(who.lastElementChild, s.address);
    state(how.firstElementChild, words.stateWord(s.state), s.state === 'paused' ? 'wait' : undefined);
    name(how.lastElementChild, whyServer(s));
    set(connections, s.busy ? `${limit}, ${words.count(s.busy)} busy` : limit);
    set(data, s.data || 'none yet');
    ago(used.firstElementChild, s.last_used);
    row.server = s;
    if (!actions.firstElementChild) {
      actions.className = 'actions';
      actions.append(button('Try now', s.server, () => act.tryServer(row.server)), button('Pause…', s.server, () => pauseOrResumeServer(row.server)));
    }
    const toggle = actions.lastElementChild;
    set(toggle, s.paused ? 'Resume' : 'Pause…');
    attribute(toggle, 'aria-label', `${s.paused ? 'Resume' : 'Pause'} ${s.server}`);
    hide(actions.firstElementChild, !['paused', 'blocked', 'full'].includes(s.state));
  });
  const left = overview.servers.length - limits.servers;
  more(section.servers, left, `${words.count(left)} more.`, widen('servers', again));
}

const pauseOrResumeServer = (s) => s.paused ? act.resume({ server: s.server }) : act.pause({ server: s.server }, `Pause all syncs with ${s.server}?`);

export function showTransfers(overview) {
  const again = () => showTransfers(overview);
  const list = overview.transfers;
  set(find('transfers-count'), list.length ? `${words.count(list.length)} under way` : '');
  keep(body.transfers, list.slice(0, limits.transfers), (t) => String(t.job), () => {
    const row = body.transfers.row();
    row.parts[2].append(make('progress', { max: '1' }), make('span'));
    return row;
  }, (row, t) => {
    const [file, sync, progress, rate, left, actions] = row.parts;
    row.transfer = t;
    name(file, t.path);
    name(sync, `${t.sync}, ${t.direction}`);
    const bar = progress.firstElementChild;
    const known = t.size > 0;
    if (known) bar.value = Math.min(1, t.done / t.size);
    else bar.removeAttribute('value');
    attribute(bar, 'aria-label', `Progress of ${typeof t.path === 'string' ? words.clear(t.path) : 'the file'}`);
    set(progress.lastElementChild, known ? `${Math.floor(100 * t.done / t.size)} % of ${words.bytes(t.size)}` : words.bytes(t.done));
    set(rate, words.rate(t.bytes_per_second));
    set(left, t.eta_seconds ? words.span(t.eta_seconds) : '');
    if (!actions.firstElementChild) {
      actions.className = 'actions';
      actions.append(button('Drop…', `${t.direction === 'up' ? 'upload' : 'download'} of ${typeof t.path === 'string' ? words.clear(t.path) : 'the file'}`, () => dropTransfer(row.transfer)));
    }
    const ending = act.dropping.has(t.job);
    set(actions.firstElementChild, ending ? 'Dropping' : 'Drop…');
    attribute(actions.firstElementChild, 'aria-disabled', ending ? 'true' : undefined);
  });
  hide(section.transfers.querySelector('table'), !list.length);
  hide(section.transfers.querySelector('.none'), list.length > 0);
  const left = list.length - limits.transfers;
  more(section.transfers, left, `${words.count(left)} more.`, widen('transfers', again));
}

function dropTransfer(t) {
  if (act.dropping.has(t.job)) return;
  const path = make('p', { class: 'path' });
  name(path, t.path, true);
  return act.dropRunning(t, path);
}

// showFailures takes what was asked for: jobs that have failed, the dead ones first, and how many of each there are.
export function showFailures(jobs, counts, ask) {
  set(find('failures-count'), [counts.dead && `${words.count(counts.dead)} given up`, counts.retrying && `${words.count(counts.retrying)} to be tried again by themselves`].filter(Boolean).join(', '));
  hide(find('failures-all'), !counts.dead);
  find('retry-all').onclick = () => act.retry({ state: 'dead' });
  find('drop-all').onclick = () => act.drop({ state: 'dead' }, `Drop ${words.plural(counts.dead, 'job')}?`, [make('p', {}, `All that were given up, of all syncs, ${words.count(counts.dead)} now.`)]);
  keep(body.failures, jobs, (j) => String(j.id), () => {
    const row = body.failures.row();
    const [, what, how, why] = row.parts;
    what.append(make('span', { class: 'name' }), plain());
    how.append(make('span', { class: 'state' }), plain());
    why.append(make('span', { class: 'reason' }), make('span', { class: 'reply' }));
    return row;
  }, (row, j) => {
    const [file, what, how, why, actions] = row.parts;
    row.job = j;
    name(file, j.path || words.action(j.kind));
    set(what.firstElementChild, words.action(j.kind));
    set(what.lastElementChild, words.clear(j.sync));
    const dead = j.state === 'dead';
    state(how.firstElementChild, dead ? 'gave up' : j.state === 'waiting' ? 'retrying' : j.state);
    set(how.lastElementChild, dead ? [words.plural(j.attempts, 'try', 'tries'), j.died && words.coarse((now() - new Date(j.died)) / 1000)].filter(Boolean).join(', ')
      : j.run_at && new Date(j.run_at) > now() ? `again in ${until(j.run_at)}` : 'at once');
    name(why.firstElementChild, j.last_error ?? '');
    const reply = j.last_reply && !(j.last_error ?? '').includes(j.last_reply) ? `The server said: ${j.last_reply}` : '';
    name(why.lastElementChild, reply);
    hide(why.lastElementChild, !reply);
    if (actions.firstElementChild) return;
    actions.className = 'actions';
    const about = `${words.action(j.kind)} of ${typeof j.path === 'string' ? words.clear(j.path) : 'the file'}`;
    actions.append(button('Retry', about, () => act.retry({ ids: [j.id] })), button('Drop…', about, () => dropOne(row.job)), button('Explain', about, () => explain(row.job.sync, row.job.path)));
  });
  hide(section.failures.querySelector('table'), !jobs.length);
  hide(section.failures.querySelector('.none'), counts.dead + counts.retrying > 0);
  const left = counts.dead + counts.retrying - jobs.length;
  more(section.failures, left, ask ? `${words.count(left)} more.` : `${words.count(left)} more: see ftpferry queue.`, ask);
}

function dropOne(j) {
  const path = make('p', { class: 'path' });
  name(path, j.path || '', true);
  return act.drop({ ids: [j.id] }, `Drop the ${words.action(j.kind)}?`, [path, act.quoted(j.last_error ?? '')]);
}

// What is told as paused is a server.
const shapeOf = (word) => word === 'paused' ? 'wait' : undefined;

// showHistory takes rows, the newest first; ask gets more of them, and is missing where there are no more, or too many.
export function showHistory(rows, text, ask, left) {
  set(find('history-count'), text);
  keep(body.history, rows, (h) => `${h.when} ${h.job ?? 0} ${h.op} ${JSON.stringify(h.path)}`, () => {
    const row = body.history.row();
    const [when, how, file, sync] = row.parts;
    when.append(make('time'));
    how.append(make('span', { class: 'state' }), ' ', plain());
    file.append(make('span', { class: 'path' }), make('span', { class: 'reason' }));
    sync.append(make('span'), ' ', plain());
    return row;
  }, (row, h) => {
    const [when, how, file, sync, size, took] = row.parts;
    const at = new Date(h.when);
    time(when.firstElementChild, at, words.clock(at, now()));
    state(how.firstElementChild, h.result, shapeOf(h.result));
    set(how.lastElementChild, words.action(h.op));
    name(file.firstElementChild, h.path || (h.op === 'connect' ? `connection to ${h.server}` : h.op));
    name(file.lastElementChild, h.error ?? '');
    name(sync.firstElementChild, h.sync);
    name(sync.lastElementChild, h.server ?? '');
    set(size, h.bytes || h.op === 'upload' || h.op === 'download' ? words.bytes(h.bytes) : '');
    set(took, h.took_ms ? words.brief(h.took_ms) : '');
  });
  hide(section.history.querySelector('table'), !rows.length);
  hide(section.history.querySelector('.none'), rows.length > 0);
  more(section.history, left, ask ? 'There is more.' : 'There is more: search for less, or see ftpferry history.', ask);
}

export function showEvents(list) {
  keep(body.events, list, (e) => String(e.id), () => {
    const row = body.events.row();
    const [when, what, about, sync, why] = row.parts;
    when.append(make('time'));
    what.append(make('span', { class: 'state' }), ' ', plain());
    about.append(make('span', { class: 'path' }));
    sync.append(make('span'), ' ', plain());
    why.append(make('span', { class: 'reason' }));
    return row;
  }, (row, e) => {
    if (row.event === e) return;
    row.event = e;
    const [when, what, about, sync, why] = row.parts;
    const at = new Date(e.when);
    time(when.firstElementChild, at, words.clock(at, now()));
    state(what.firstElementChild, e.kind, shapeOf(e.kind));
    set(what.lastElementChild, words.action(e.action));
    name(about.firstElementChild, e.path || '');
    name(sync.firstElementChild, e.sync ?? '');
    name(sync.lastElementChild, e.server ?? '');
    const moved = e.bytes ? `${words.bytes(e.bytes)} in ${words.brief(e.took_ms ?? 0)}` : '';
    name(why.firstElementChild, e.missed ? `${words.plural(e.missed, 'event')} were forgotten before this page got to them` : [moved, e.text].filter(Boolean).join('; '));
  });
  hide(section.events.querySelector('table'), !list.length);
  hide(section.events.querySelector('.none'), list.length > 0);
}
