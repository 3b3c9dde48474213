<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Unit\Fixture;

use JsonSerializable;
use Stringable;

/** A collection such as frameworks have: both a list and the text of one. */
final class Tags implements JsonSerializable, Stringable
{
    /** @var list<string> */
    private readonly array $tags;

    public function __construct(string ...$tags)
    {
        $this->tags = array_values($tags);
    }

    /** @return list<string> */
    public function jsonSerialize(): array
    {
        return $this->tags;
    }

    public function __toString(): string
    {
        return (string) json_encode($this->tags);
    }
}
