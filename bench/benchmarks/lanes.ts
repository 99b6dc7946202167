/**
 * What turns at a host are for: somebody who waits is not held up by those who do
 * not, and a host that is asked too much at once is asked less.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { openRelay } from '../delayed-relay.js';
import { trial } from '../process.js';
import { type Report, type Row, times } from '../report.js';
import { inRounds, type Medians, value } from '../rounds.js';

const ROUNDS = 5;
const SPEED = { roundTripMs: 20, megabits: 200 };
const MIB = 1024 * 1024;
const OBJECT = Buffer.alloc(256 * MIB, 0x5a);
/** Compressed: 4 MiB of files make about that much. */
const SPAN_BYTES = 1.5 * MIB;
const READS = 40;
const PIECE_BYTES = 64 * 1024;
const PIECES = 400;
/** Requests at once that the hosts bear. */
const BEARABLE = 4;
/** What one of them takes. */
const SERVICE_MS = 20;

type Serve = (request: IncomingMessage, response: ServerResponse) => void;

const sendRange: Serve = (request, response) => {
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  const [start, end] = [Number(match?.[1] ?? 0), Number(match?.[2] ?? OBJECT.length - 1)];
  response.writeHead(206, {
    'content-length': end - start + 1,
    'content-range': `bytes ${start}-${end}/${OBJECT.length}`,
  });
  response.end(OBJECT.subarray(start, end + 1));
};

/** Counts who is being served, and serves after the time that `ms` gives for so many; undefined: refuses. */
function crowded(ms: (atOnce: number) => number | undefined): Serve {
  let atOnce = 0;
  return (request, response) => {
    atOnce++;
    response.on('close', () => atOnce--);
    const wait = ms(atOnce);
    if (wait === undefined) response.writeHead(429, { 'content-length': 0 }).end();
    else setTimeout(() => sendRange(request, response), wait);
  };
}

const refusing = crowded(atOnce => (atOnce > BEARABLE ? undefined : SERVICE_MS));
/** As disks and databases do it: with too much at once, each takes longer than its share. */
const slowing = crowded(atOnce => SERVICE_MS * Math.max(1, (atOnce / BEARABLE) ** 2));

async function listen(serve: Serve): Promise<{ server: Server; port: number }> {
  const server = createServer(serve);
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

export async function lanes(): Promise<Report> {
  const [plain, refuses, slows] = [await listen(sendRange), await listen(refusing), await listen(slowing)];
  const relay = await openRelay(plain.port, SPEED);
  const size = OBJECT.length;
  const demand = (name: string, beside?: string) => ({
    name,
    run: () =>
      trial('demandLatency', {
        url: `http://${relay.host}/`,
        size,
        spanBytes: SPAN_BYTES,
        reads: READS,
        beside,
      }),
  });
  const crowd = (name: string, port: number, limit: string) => ({
    name,
    run: () =>
      trial('crowdedHost', {
        url: `http://127.0.0.1:${port}/`,
        size,
        pieceBytes: PIECE_BYTES,
        pieces: PIECES,
        limit,
      }),
  });
  try {
    const results = await inRounds(ROUNDS, [
      demand('idle'),
      demand('background', 'background'),
      demand('demand', 'demand'),
      crowd('refuses, adapted', refuses.port, 'adapted'),
      crowd('refuses, fixed', refuses.port, 'fixed'),
      crowd('slows, adapted', slows.port, 'adapted'),
      crowd('slows, fixed', slows.port, 'fixed'),
    ]);
    const rows = [
      ...demandRows(results.of('idle'), results.of('background'), results.of('demand')),
      crowdRow('refuses', results.of('refuses, adapted'), results.of('refuses, fixed')),
      crowdRow('slows down', results.of('slows, adapted'), results.of('slows, fixed')),
    ];
    const link = `${SPEED.roundTripMs} ms round trip, ${SPEED.megabits} Mbit/s by a relay`;
    return {
      title: 'turns at a host',
      conditions: `${link}: demand reads of ${SPAN_BYTES / MIB} MiB beside 8 reads on and on; ${PIECES} pieces of 64 KiB from hosts that bear ${BEARABLE} requests at once, asked by 32; medians of ${ROUNDS} processes`,
      rows,
      raw: results.raw,
    };
  } finally {
    await relay.close();
    for (const { server } of [plain, refuses, slows]) {
      server.close();
      server.closeAllConnections();
    }
  }
}

function demandRows(idle: Medians, background: Medians, demand: Medians): Row[] {
  const row = (name: string, got: Medians, aim: string): Row => {
    const factor = value(got, 'p95') / value(idle, 'p95');
    const beside = value(got, 'besidePerSecond') / 1e6;
    return {
      name: `demand read ${name}, p95`,
      value: `${value(got, 'p95').toFixed(0)} ms`,
      ratio: `${times(factor)} of the idle link${aim}; the others ${beside.toFixed(1)} MB/s`,
    };
  };
  return [
    row('on the idle link', idle, ''),
    row('beside background reads', background, ' (aim ≤ 1.5×)'),
    row('beside demand reads', demand, ''),
  ];
}

function crowdRow(name: string, adapted: Medians, fixed: Medians): Row {
  const factor = value(fixed, 'milliseconds') / value(adapted, 'milliseconds');
  const failed = `${value(adapted, 'failures')} and ${value(fixed, 'failures')} reads failed`;
  const requests = `${value(adapted, 'requests')} and ${value(fixed, 'requests')} requests`;
  return {
    name: `host that ${name}, adapted`,
    value: `${value(adapted, 'milliseconds').toFixed(0)} ms`,
    ratio: `${times(factor)} as fast as fixed concurrency (aim ≥ 1.3×); ${failed}, ${requests}`,
  };
}
