<?php

declare(strict_types=1);

namespace RrPgpool\Exception;

/**
 * Such a row exists already (23505).
 */
final class UniqueViolation extends ConstraintViolation
{
}
