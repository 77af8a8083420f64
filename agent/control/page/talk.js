// Asking the agent. Addresses are relative: there may be a proxy with a path in front of it.

// Refused is an answer of the agent that says what is wrong; anything else that is thrown means that it did not answer.
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

let ahead = 0; // how far the clock of the agent is ahead of the one here, in milliseconds

// now is the time by the agent's clock.
export const now = () => new Date(Date.now() + ahead);

async function send(path, options, patience) {
  const response = await fetch(path, { ...options, cache: 'no-store', redirect: 'error', signal: AbortSignal.timeout(patience) });
  const date = Date.parse(response.headers.get('Date'));
  // A second is all that it tells.
  if (date && Math.abs(date - Date.now() - ahead) > 1500) ahead = date - Date.now();
  if (response.ok) return response;
  const text = await response.text();
  let reason = text.trim() || response.statusText;
  try {
    reason = JSON.parse(text).error ?? reason;
  } catch { /* not from a handler: plain text */ }
  throw new Refused(reason, response.status);
}

const post = (path, body, patience) => send(path, {
  method: 'POST', body: JSON.stringify(body), headers: { 'Content-Type': 'application/json', 'Ftpferry-Request': 'page' },
}, patience);

// ask returns the answer to a request, in milliseconds at most.
export const ask = async (path, body, patience = 15000) => (await post(path, body, patience)).json();

export const logout = () => post('logout', {}, 15000);

// rows returns the rows of an answer that comes line by line, and what its end says.
export async function rows(path, body, patience = 60000) {
  const list = [];
  for (const text of (await (await post(path, body, patience)).text()).split('\n')) {
    if (!text) continue;
    const line = JSON.parse(text);
    if (line.error) throw new Refused(line.error, 500);
    if (line.last) return { rows: list, end: line.end };
    list.push(line.row);
  }
  throw new Error('the answer was cut short');
}

// lastEvents is the number to begin behind for the last n events that are remembered: 2^64-1-n.
export const lastEvents = (n) => (2n ** 64n - 1n - BigInt(n)).toString();

// follow calls each for the events behind a number until the signal ends it, or the stream does.
export async function follow(after, signal, each) {
  const response = await fetch(`v1/events?after=${after}`, { cache: 'no-store', redirect: 'error', signal });
  if (!response.ok) throw new Refused(await response.text(), response.status);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ''; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop();
    const found = lines.filter((line) => line.startsWith('data: ')).map((line) => JSON.parse(line.slice(6)));
    if (found.length) each(found);
  }
}
