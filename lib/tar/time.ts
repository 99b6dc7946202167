/**
 * Modification times as a ztoc holds them: the text of Go's time.MarshalText,
 * RFC 3339 with nanoseconds and their trailing zeros trimmed. JavaScript's Date
 * has neither the nanoseconds nor this notion of which years can be written.
 */
import { type Int64, parseDecimal } from './numeric.js';

/** A point in time; `nanoseconds` is 0 to 999,999,999, also before 1970. */
export interface Instant {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** What Go's reader holds when a ztoc's text is not a time: 0001-01-01T00:00:00Z. */
export const GO_ZERO_TIME: Instant = { seconds: -62_135_596_800, nanoseconds: 0 };

const YEAR_0 = -62_167_219_200;
const YEAR_10000 = 253_402_300_800;
const DAY = 86_400;
const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):(\d\d))$/;

/** In UTC; years outside 0000 to 9999 have no such text and give '', as the reference writes them. */
export function formatTime(seconds: Int64, nanoseconds: number): string {
  if (seconds < YEAR_0 || seconds >= YEAR_10000) return '';
  const since1970 = Number(seconds);
  const days = Math.floor(since1970 / DAY);
  const second = since1970 - days * DAY;
  const { year, month, day } = civilFromDays(days);
  const date = `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}`;
  const time = `${pad(Math.floor(second / 3600), 2)}:${pad(Math.floor(second / 60) % 60, 2)}:${pad(second % 60, 2)}`;
  const fraction = nanoseconds === 0 ? '' : `.${pad(nanoseconds, 9).replace(/0+$/, '')}`;
  return `${date}T${time}${fraction}Z`;
}

/** The instant of a ztoc's text, whatever zone its builder was in; undefined when it is not such a text. */
export function parseTime(text: string): Instant | undefined {
  const match = RFC3339.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const zone = (match[8] === '-' ? -60 : 60) * (Number(match[9] ?? 0) * 60 + Number(match[10] ?? 0));
  const days = daysOf(year, month, day);
  if (days === undefined || hour > 23 || minute > 59 || second > 59 || Math.abs(zone) > DAY) return undefined;
  const seconds = days * DAY + hour * 3600 + minute * 60 + second - zone;
  return { seconds, nanoseconds: Number((match[7] ?? '').slice(0, 9).padEnd(9, '0')) };
}

/** A PAX time, "seconds[.fraction]"; digits past the nanosecond are cut, and '-' reaches the fraction too. */
export function parsePaxTime(text: string): { seconds: Int64; nanoseconds: number } | undefined {
  const dot = text.indexOf('.');
  const whole = dot < 0 ? text : text.slice(0, dot);
  const fraction = dot < 0 ? '' : text.slice(dot + 1);
  const seconds = parseDecimal(whole);
  if (seconds === undefined || !/^[0-9]*$/.test(fraction)) return undefined;
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (nanoseconds === 0 || !whole.startsWith('-')) return { seconds, nanoseconds };
  const floor = BigInt(seconds) - 1n;
  return { seconds: Number(floor), nanoseconds: 1_000_000_000 - nanoseconds };
}

// Days since 1970-01-01 to a proleptic Gregorian date and back, in eras of 400
// years that begin on 1 March so that the leap day is the last of its year.
function civilFromDays(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  const day = dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day };
}

function daysFromCivil(year: number, month: number, day: number): number {
  const marchYear = month <= 2 ? year - 1 : year;
  const era = Math.floor(marchYear / 400);
  const yearOfEra = marchYear - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  return (
    era * 146_097 +
    yearOfEra * 365 +
    Math.floor(yearOfEra / 4) -
    Math.floor(yearOfEra / 100) +
    dayOfYear -
    719_468
  );
}

/** Days since 1970-01-01; undefined when there is no such date. */
export function daysOf(year: number, month: number, day: number): number | undefined {
  const exists = month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month);
  return exists ? daysFromCivil(year, month, day) : undefined;
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, '0');
}
