// What a person can do: each asks where something is lost, says what came of it, and has the page look again.

import { find, make, name, say } from './dom.js';
import { ask, Refused } from './talk.js';
import { count, plural } from './words.js';

const by = 'status page';

// tell has the rest of the page look again; script.js sets it.
export const after = { look: () => {} };

// carry does something and says what came of it, in milliseconds at most.
async function carry(path, body, said, patience = 60000) {
  try {
    say(said(await ask(path, body, patience)));
  } catch (error) {
    say(error instanceof Refused ? error.message : `The agent has not answered, so it is not known what came of it (${error.message}).`, true);
  }
  after.look();
}

// answer ends the question that was asked last. Its dialog may be closed, and be open for the next one, before the browser says so: that
// the next one is answered must not count as an answer to this one.
let answer = () => {};

// confirmed asks a person; content is what there is to know. It returns false, or the form.
export function confirmed(title, yes, content, dangerous = false) {
  const dialog = find('ask');
  if (dialog.open) return Promise.resolve(false);
  answer(false);
  name(find('ask-title'), title, true);
  find('ask-text').replaceChildren(...content);
  find('ask-yes').textContent = yes;
  find('ask-yes').classList.toggle('danger', dangerous);
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise((resolve) => { answer = resolve; });
}

find('ask').addEventListener('close', ({ target }) => {
  if (!target.open) answer(target.returnValue === 'yes' && target.querySelector('form'));
});

const paragraph = (text, attributes) => make('p', attributes, text);

export function quoted(text) {
  const node = make('blockquote');
  name(node, text, true);
  return node;
}

// approve lets a halted sync go on, for the reason that was shown and no other.
export async function approve(sync, stop) {
  const content = [paragraph('A guard has stopped it:'), quoted(stop.reason)];
  if (stop.deletes > 0) content.push(paragraph(`If it goes on, ${plural(stop.deletes, 'file')} will be deleted.`, { class: 'strong' }));
  const plan = make('p', {}, 'What it would do, file by file: ', make('code', {}, `ftpferry plan ${sync}`));
  content.push(plan);
  if (!await confirmed(`Let ${sync} go on?`, 'Approve', content, true)) return;
  await carry('v1/approve', { syncs: [sync], reason: stop.reason }, () => `${sync} is approved and goes on.`);
}

function changed(answer, what) {
  const said = [`${plural(answer.jobs, 'job')} ${what}`];
  if (answer.broken_off) said.push(`${count(answer.broken_off)} broken off`);
  if (answer.again) said.push(`${count(answer.again)} begun anew, as asked for meanwhile`);
  if (answer.done) said.push(`${count(answer.done)} done before`);
  if (answer.due) said.push(`${count(answer.due)} due already`);
  if (answer.running) said.push(`${count(answer.running)} left alone as running`);
  if (answer.refused) said.push(`${count(answer.refused)} refused: ${answer.left?.[0]?.reason ?? ''}`);
  if (answer.unknown?.length) said.push(`${count(answer.unknown.length)} gone already`);
  if (answer.servers?.length) said.push(`the wait for ${answer.servers.join(', ')} has ended`);
  return `${said.join('; ')}.`;
}

// retry has jobs tried again at once.
export const retry = (filter) => carry('v1/jobs/retry', filter, (answer) => changed(answer, 'to be tried again'));

// tryServer ends the wait for a server: jobs of a sync that uses it that are due stay so, and the server is tried for them.
export const tryServer = (server) => carry('v1/jobs/retry', { sync: server.syncs?.[0] ?? '', state: 'due' },
  (answer) => answer.servers?.includes(server.server) ? `${server.server} is tried again at once.` : `Nothing keeps ${server.server} waiting any more.`);

// drop removes jobs, if a person says so again.
export async function drop(filter, title, what) {
  const content = [...what, paragraph('What they were to do is left undone until a scan finds a reason for it again. No file is deleted.')];
  if (!await confirmed(title, 'Drop', content, true)) return;
  await carry('v1/jobs/drop', filter, (answer) => changed(answer, 'dropped'));
}

// dropping are the jobs that are being broken off.
export const dropping = new Set();

// longest is how long it is waited for a transfer to end: its server may take as long to say something.
const longest = 3600000;

// dropRunning breaks a transfer off, if a person says so again.
export async function dropRunning(transfer, file) {
  const content = [file, paragraph('The transfer is broken off, and nothing of it stays on either side. It is done again when a scan, or a change of the file, finds a reason for it.')];
  if (!await confirmed(`Drop this ${transfer.direction === 'up' ? 'upload' : 'download'}?`, 'Drop', content, true)) return;
  dropping.add(transfer.job);
  say('The transfer is being broken off.');
  after.look();
  try {
    await carry('v1/jobs/drop', { ids: [transfer.job] }, (answer) => changed(answer, 'dropped'), longest);
  } finally {
    dropping.delete(transfer.job);
  }
}

// pause has a sync, or all of a server, begin nothing new.
export async function pause(choice, title) {
  const field = (label, input) => make('label', {}, label, input);
  const time = make('select', { name: 'time' }, ...[['0', 'until somebody resumes it'], ['3600', 'for an hour'], ['28800', 'for 8 hours'], ['86400', 'for a day']]
    .map(([value, text]) => make('option', { value }, text)));
  const content = [
    paragraph('Nothing new begins; what changes meanwhile is noted and done afterwards.'),
    field('How long ', time),
    field('Why ', make('input', { name: 'why', maxlength: '200', autocomplete: 'off', placeholder: 'for those who come after you' })),
    make('label', { class: 'check' }, make('input', { type: 'checkbox', name: 'now' }), ' Break off what is under way'),
  ];
  const form = await confirmed(title, 'Pause', content);
  if (!form) return;
  const { time: seconds, why, now } = form.elements;
  await carry('v1/pause', { ...choice, by, reason: why.value.trim(), for: Number(seconds.value) * 1e9, now: now.checked },
    (answer) => `${answer.server ? `Server ${answer.server} is paused, with ` : ''}${plural(answer.syncs?.length ?? 0, 'sync')}${answer.server ? '' : ' paused'}${answer.running ? `; ${plural(answer.running, 'job')} ${answer.running > 1 ? 'were' : 'was'} under way` : ''}.`);
}

// mostHeld is how many syncs are named that are paused still.
const mostHeld = 5;

function resumed(answer) {
  const on = [...(answer.servers ?? []).map((server) => `server ${server}`), ...(answer.syncs ?? [])];
  const said = on.length ? [`${on.join(', ')} ${on.length > 1 ? 'go' : 'goes'} on`] : [];
  const held = answer.held ?? [];
  for (const h of held.slice(0, mostHeld)) said.push(`${h.sync} is still paused, ${h.server ? `as all of server ${h.server} is: resume that` : 'by itself'}`);
  if (held.length > mostHeld) said.push(`${count(held.length - mostHeld)} more are still paused`);
  return `${said.join('; ') || 'Nothing was paused'}.`;
}

// resume ends the pause of a sync, or of a server.
export const resume = (choice) => carry('v1/resume', { ...choice, by }, resumed);
