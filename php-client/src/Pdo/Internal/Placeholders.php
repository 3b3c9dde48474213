<?php

declare(strict_types=1);

namespace RrPgpool\Pdo\Internal;

/**
 * Turns PDO's placeholders ? and :name into PostgreSQL's $1, $2, …. Everything else stays as it is,
 * to the byte, but for ?? which is how PDO writes PostgreSQL's operator ?.
 *
 * Beyond PDO's own rules, ?| and ?& (behind an operand), @? and array slices are PostgreSQL's.
 *
 * @internal
 */
final class Placeholders
{
    /** Whole identifiers, so that what stands inside one begins nothing; and all that may matter. */
    private const TOKEN = '/[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*+|[0-9.]++|[^\sA-Za-z0-9_\x80-\xff]/';
    private const NAME = '/\G:([A-Za-z0-9_]++)/';
    private const WORD = '/[A-Za-z0-9_$\x80-\xff]/';
    /** Words that an operand follows: a ? behind them is a placeholder, whatever comes next. */
    private const BEFORE_OPERAND = [
        'all', 'and', 'any', 'as', 'between', 'by', 'case', 'distinct', 'else', 'from', 'having',
        'ilike', 'in', 'is', 'like', 'limit', 'not', 'offset', 'on', 'or', 'returning', 'select',
        'set', 'similar', 'some', 'then', 'to', 'using', 'values', 'when', 'where',
    ];

    private string $out = '';
    private int $copied = 0;
    private int $brackets = 0;
    private int $count = 0;
    private bool $positional = false;
    /** Whether what stands before is an operand, so that an operator may follow. */
    private bool $operand = false;
    /** @var array<array-key, int> */
    private array $names = [];

    private function __construct(private readonly string $sql)
    {
    }

    /** @throws MixedPlaceholders */
    public static function translate(string $sql): TranslatedSql
    {
        // Most statements of some frameworks have neither; strpbrk is one pass in C.
        return strpbrk($sql, '?:') === false
            ? new TranslatedSql($sql, TranslatedSql::NONE, 0, [])
            : (new self($sql))->run();
    }

    private function run(): TranslatedSql
    {
        $at = 0;
        while (preg_match(self::TOKEN, $this->sql, $found, PREG_OFFSET_CAPTURE, $at) === 1) {
            [$token, $start] = $found[0];
            $at = $this->token($token, $start);
        }
        $style = match (true) {
            $this->positional => TranslatedSql::POSITIONAL,
            $this->names !== [] => TranslatedSql::NAMED,
            default => TranslatedSql::NONE,
        };

        return new TranslatedSql(
            $this->out . substr($this->sql, $this->copied),
            $style,
            $this->count,
            $this->names,
        );
    }

    /** Deals with what begins at that offset, and returns where to go on. */
    private function token(string $token, int $at): int
    {
        $end = SqlLexer::end($this->sql, $at);
        if ($end !== null) {
            // A comment is like a blank; the rest are operands.
            $this->operand = $token === '-' || $token === '/' ? $this->operand : true;

            return $end;
        }

        return match ($token) {
            '?' => $this->question($at),
            ':' => $this->colon($at),
            default => $this->other($token, $at),
        };
    }

    private function other(string $token, int $at): int
    {
        $this->brackets += ['[' => 1, ']' => -1][$token] ?? 0;
        $this->operand = match (true) {
            $token === ')', $token === ']' => true,
            preg_match(self::WORD, $token[0]) !== 1 && $token[0] !== '.' => false,
            default => !in_array(strtolower($token), self::BEFORE_OPERAND, true),
        };

        return $at + strlen($token);
    }

    private function question(int $at): int
    {
        $next = $this->sql[$at + 1] ?? '';
        if ($next === '?') {
            $this->replace($at, 2, '?');
            $this->operand = false;

            return $at + 2;
        }
        if ($this->isOperator($at, $next)) {
            $this->operand = false;

            return $at + 1;
        }
        if ($this->names !== []) {
            throw new MixedPlaceholders();
        }
        $this->positional = true;
        $this->place($at, 1, ++$this->count);

        return $at + 1;
    }

    private function isOperator(int $at, string $next): bool
    {
        if ($at > 0 && $this->sql[$at - 1] === '@') {
            return true;
        }
        // `x ?| y` is an operator, `? | 1` is not, and `x LIKE ?||'%'` concatenates.
        $anyOrAll = $next === '&' || ($next === '|' && ($this->sql[$at + 2] ?? '') !== '|');

        return $anyOrAll && $this->operand;
    }

    private function colon(int $at): int
    {
        $next = $this->sql[$at + 1] ?? '';
        if ($next === ':' || $next === '=') {
            $this->operand = false;

            return $at + 2;
        }
        // In `a[1:2]` and `a[low:high]` it parts the bounds.
        $slice = $this->brackets > 0 && $this->operand;
        if ($slice || preg_match(self::NAME, $this->sql, $found, 0, $at) !== 1) {
            $this->operand = false;

            return $at + 1;
        }
        if ($this->positional) {
            throw new MixedPlaceholders();
        }
        $number = $this->names[$found[1]] ??= ++$this->count;
        $this->place($at, strlen($found[0]), $number);

        return $at + strlen($found[0]);
    }

    /** Puts $n there, apart from words, which it would become a part of. */
    private function place(int $at, int $length, int $number): void
    {
        $before = $at > 0 && preg_match(self::WORD, $this->sql[$at - 1]) === 1 ? ' ' : '';
        $after = preg_match(self::WORD, $this->sql[$at + $length] ?? '') === 1 ? ' ' : '';
        $this->replace($at, $length, "{$before}\${$number}{$after}");
        $this->operand = true;
    }

    private function replace(int $at, int $length, string $by): void
    {
        $this->out .= substr($this->sql, $this->copied, $at - $this->copied) . $by;
        $this->copied = $at + $length;
    }
}
