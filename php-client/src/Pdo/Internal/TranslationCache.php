<?php

declare(strict_types=1);

namespace RrPgpool\Pdo\Internal;

/**
 * The translations of the statements used last. Applications repeat few texts many times; those that
 * write values into their statements must not fill the memory, so the number of texts is bounded,
 * and so is the length of each.
 *
 * @internal
 */
final class TranslationCache
{
    private const MAX_LENGTH = 16384;

    /** @var array<array-key, TranslatedSql> least recently used first */
    private array $entries = [];

    public function __construct(private readonly int $capacity = 256)
    {
    }

    /** @throws MixedPlaceholders */
    public function translate(string $sql): TranslatedSql
    {
        $known = $this->entries[$sql] ?? null;
        if ($known !== null) {
            // Only where a text may be forgotten does the order matter.
            if (count($this->entries) >= $this->capacity) {
                unset($this->entries[$sql]);
                $this->entries[$sql] = $known;
            }

            return $known;
        }
        $translated = Placeholders::translate($sql);
        if (strlen($sql) > self::MAX_LENGTH) {
            return $translated;
        }
        if (count($this->entries) >= $this->capacity) {
            unset($this->entries[array_key_first($this->entries)]);
        }

        return $this->entries[$sql] = $translated;
    }
}
