<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Pdo;

/**
 * A class for fetch modes: a typed property, a private one, and a log of what PDO does when.
 */
final class Row
{
    public float $price = 0.0;
    /** @var list<mixed> */
    public array $log = [];
    private ?int $id = null;

    public function __construct(mixed ...$arguments)
    {
        $this->log[] = ['constructor', $arguments, $this->id];
    }

    public function __set(string $name, mixed $value): void
    {
        $this->log[] = [$name, $value];
    }
}
