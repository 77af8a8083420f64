// All about one sync, and about one path of it.

import { find, make, name, say } from './dom.js';
import { ask, now } from './talk.js';
import * as words from './words.js';

const dialog = find('details');
let shown; // the name of the sync that is shown
let told; // what is shown of it, as text: what is the same stays as it is
let facts, answer; // where that is shown, and the explanation of a path

find('details-close').addEventListener('click', () => dialog.close());
dialog.addEventListener('close', () => { shown = undefined; });

const at = (text) => text ? `${words.full(new Date(text))} (${words.coarse((now() - new Date(text)) / 1000)})` : 'never';
const next = (text) => `${words.full(new Date(text))}, in ${words.span((new Date(text) - now()) / 1000)}`;

// list shows pairs of a word and what there is to say: texts, or nodes.
function list(pairs) {
  const node = make('dl');
  for (const [word, ...values] of pairs) {
    const kept = values.flat().filter(Boolean);
    if (!kept.length) continue;
    node.append(make('dt', {}, word), ...kept.map((value) => {
      const dd = make('dd');
      if (typeof value === 'string') name(dd, value, true);
      else dd.append(value);
      return dd;
    }));
  }
  return node;
}

function path(text, reason) {
  const node = make('div', {}, make('span', { class: 'path' }), make('span', { class: 'reason' }));
  name(node.firstElementChild, text, true);
  name(node.lastElementChild, reason, true);
  return node;
}

function aboutSync(s) {
  const stop = s.jobs.stop;
  const schedules = (s.schedules ?? []).map((line) => [`${line.spec}, ${line.do}:`, line.next ? `next ${next(line.next)};` : '', line.last_fired ? `last for ${at(line.last_fired)}` : 'has not run yet',
    line.result ? `: ${line.result}` : '', line.missed ? `; ${words.count(line.missed)} left out` : ''].filter(Boolean).join(' ').replace(' :', ':').replace(' ;', ';'));
  const watch = s.watch && [`${s.watch.state}, ${words.plural(s.watch.folders, 'folder')}`, s.watch.reason, s.watch.cure, s.watch.every ? `everything is looked at every ${words.span(s.watch.every / 1e9)}` : ''].filter(Boolean).join('; ');
  const notes = s.notes ?? [];
  const counted = s.conflicts + s.skipped + s.unknown + s.differ;
  return list([
    ['State', [words.stateWord(s.state), stop?.reason].filter(Boolean).join(': '), s.paused && stop?.by !== 'paused' ? 'also paused by a person' : ''],
    ['Server', `${s.server}, ${s.direction}`],
    ['In step', words.plural(s.known, 'path')],
    ['Looked at in full', at(s.last_full_scan)],
    ['Last success', at(s.last_success)],
    ['Schedule', schedules],
    ['Watch', watch],
    ['Found late', s.only_by_rescan ? `${words.plural(s.only_by_rescan, 'change')} that no event has told of, in ${words.plural(s.rescans, 'look')} at the whole folder` : ''],
    ['Next poll', s.next_poll ? next(s.next_poll) : ''],
    ['Left alone', notes.map((n) => path(n.path, `${n.kind} since ${words.full(new Date(n.since))}: ${n.reason}`)), counted > notes.length ? `and ${words.count(counted - notes.length)} more: ftpferry status ${s.sync}` : ''],
    ['Not complete', (s.held ?? []).map((h) => path(h.path, h.reason)), (s.held_all ?? 0) > (s.held ?? []).length ? `and ${words.count(s.held_all - (s.held ?? []).length)} more` : ''],
  ]);
}

const known = { syncs: [] };

// update takes the newest overview.
export function update(overview) {
  known.syncs = overview.syncs;
  if (!dialog.open || !shown) return;
  const s = overview.syncs.find((one) => one.sync === shown);
  if (!s) return;
  const content = aboutSync(s);
  if (told === content.textContent) return;
  told = content.textContent;
  facts.replaceChildren(content);
}

// open shows the dialog with a form to ask about one path.
function open(sync) {
  shown = sync;
  told = '';
  facts = make('div');
  answer = make('div', { 'aria-live': 'polite' });
  const input = make('input', { name: 'path', autocomplete: 'off', spellcheck: 'false', placeholder: 'folder/file', required: '' });
  const form = make('form', { class: 'search', submit: (event) => {
    event.preventDefault();
    tell(sync, input.value);
  } }, make('label', {}, 'Why is a path as it is? ', input), make('button', {}, 'Explain'));
  name(find('details-title'), sync, true);
  find('details-text').replaceChildren(facts, form, answer);
  if (!dialog.open) dialog.showModal();
  update(known);
  return input;
}

export function showSync(sync) {
  open(sync);
}

// explain shows a sync with the explanation of one path.
export function explain(sync, file) {
  const input = open(sync);
  if (typeof file === 'string') input.value = file;
  tell(sync, file);
}

const side = (e) => e.kind === 'absent' ? 'nothing' : [e.kind, e.target && `to ${e.target}`, e.kind === 'file' && e.size >= 0 && words.plural(e.size ?? 0, 'byte'), e.mtime && `of ${words.full(new Date(e.mtime))}`].filter(Boolean).join(', ');

const seenBy = { agreed: 'when both agreed', planned: 'when a job was planned', noted: 'when it was left alone' };

// lastSeen is what both sides were when they were last looked at; what the last agreement says is not said again.
function lastSeen(seen) {
  const looks = [['here', seen?.local], ['on the server', seen?.remote]].filter(([, look]) => look);
  if (!looks.length) return 'nothing is known of the server\u2019s side';
  const heading = (look) => [look.when && words.full(new Date(look.when)), seenBy[look.by]].filter(Boolean).join(', ');
  const together = looks.length === 2 && heading(looks[0][1]) === heading(looks[1][1]);
  if (together && looks[0][1].by === 'agreed') return heading(looks[0][1]);
  return looks.flatMap(([place, look], i) => [together && i ? '' : heading(look), `${place}: ${side(look.entry)}`]);
}

const plannedSide = (s) => s.knowledge === 'unknown' ? 'unknown' : `${s.knowledge === 'assumed' ? 'as agreed, ' : ''}${side(s.entry)}`;
const planned = (p) => p ? `; planned${p.when ? ` on ${words.full(new Date(p.when))}` : ''} going by here: ${plannedSide(p.local)}; on the server: ${plannedSide(p.remote)}` : '';

async function tell(sync, file) {
  const place = answer;
  try {
    const e = await ask('v1/explain', { Sync: sync, Path: file });
    const title = make('h3');
    name(title, e.path || '/', true);
    place.replaceChildren(title, list([
      ['Next', e.next],
      ['Takes no part', e.excluded],
      ['Here now', e.local_error ? `cannot be looked at: ${e.local_error}` : side(e.local)],
      ['Agreed on', e.agreed ? e.agreed.unreadable ? 'cannot be read from the state file' : [e.agreed.when && words.full(new Date(e.agreed.when)), `here: ${side(e.agreed.local)}`, `on the server: ${side(e.agreed.remote)}`] : 'never'],
      ['Last seen', lastSeen(e.last_seen)],
      [e.note?.kind ?? '', e.note?.reason],
      ['To be looked at', e.marked],
      ['Jobs', (e.jobs ?? []).map((j) => `${j.id}: ${words.action(j.kind)}, ${j.state}, ${words.plural(j.attempts, 'try', 'tries')}${j.last_error ? `: ${j.last_error}` : ''}${planned(j.planned)}`)],
      ['History', (e.history ?? []).map((h) => `${words.full(new Date(h.when))}: ${words.action(h.op)} ${h.result}${h.error ? `: ${h.error}` : ''}`)],
    ]));
  } catch (error) {
    say(error.message, true);
  }
}
