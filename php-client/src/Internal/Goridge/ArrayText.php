<?php

declare(strict_types=1);

namespace RrPgpool\Internal\Goridge;

use Closure;

/**
 * Reads an array as PostgreSQL's array_out prints it.
 *
 * @internal
 */
final class ArrayText
{
    private int $at = 0;
    /** Matches what stands unquoted. */
    private readonly string $plain;

    /** @param Closure(string): mixed $element makes the value of an element */
    public function __construct(
        private readonly string $text,
        private readonly string $delimiter,
        private readonly Closure $element,
    ) {
        $this->plain = '/\G[^"\\\\{}' . $delimiter . ']++/';
    }

    /** @return list<mixed>|null null when it is no array */
    public function toList(): ?array
    {
        // Bounds that do not start at 1 are printed in front: [0:1][-2:3]={..}
        if (preg_match('/\G(?:\[[-+0-9:]+\])+=/', $this->text, $bounds) === 1) {
            $this->at = strlen($bounds[0]);
        }
        $list = $this->braces();

        return $this->at === strlen($this->text) ? $list : null;
    }

    /** @return list<mixed>|null */
    private function braces(): ?array
    {
        $list = [];
        if (!$this->skip('{')) {
            return null;
        }
        if ($this->skip('}')) {
            return $list;
        }
        do {
            if (($this->text[$this->at] ?? '') === '{') {
                $value = $this->braces();
                $found = $value !== null;
            } else {
                $found = $this->value($value);
            }
            if (!$found) {
                return null;
            }
            $list[] = $value;
        } while ($this->skip($this->delimiter));

        return $this->skip('}') ? $list : null;
    }

    private function value(mixed &$value): bool
    {
        if (($this->text[$this->at] ?? '') === '"') {
            $quoted = $this->quoted();
            $value = $quoted === null ? null : ($this->element)($quoted);

            return $quoted !== null;
        }
        if (preg_match($this->plain, $this->text, $plain, 0, $this->at) !== 1) {
            return false;
        }
        $this->at += strlen($plain[0]);
        $value = $plain[0] === 'NULL' ? null : ($this->element)($plain[0]);

        return true;
    }

    /** By hand: an element may be longer than what a pattern can repeat. */
    private function quoted(): ?string
    {
        $start = $end = $this->at + 1;
        $escaped = false;
        while (true) {
            $end += strcspn($this->text, '"\\', $end);
            $character = $this->text[$end] ?? '';
            if ($character === '"') {
                break;
            }
            if ($character === '') {
                return null;
            }
            $escaped = true;
            $end += 2;
        }
        $this->at = $end + 1;
        $inside = substr($this->text, $start, $end - $start);

        return $escaped ? (string) preg_replace('/\\\\(.)/s', '$1', $inside) : $inside;
    }

    private function skip(string $character): bool
    {
        if (($this->text[$this->at] ?? '') !== $character) {
            return false;
        }
        ++$this->at;

        return true;
    }
}
