<?php

declare(strict_types=1);

namespace RrPgpool;

/**
 * An observer that is also given the argument values. Passwords and personal data are among them:
 * implement it where these may go, such as a debug toolbar.
 */
interface ArgumentObserver extends QueryObserver
{
}
